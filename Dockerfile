# syntax=docker/dockerfile:1
# The image of Diamond Cutter, with the versions of the lock file. See docs/operations.md.
#
#   docker build -t diamond-cutter .                                              # for processors
#   docker build -t diamond-cutter:gpu --build-arg OPTIONS="--extra gpu" .        # for NVIDIA GPUs

ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
RUN pip install --no-cache-dir uv
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
WORKDIR /app
# More options of `uv sync`, such as --extra gpu, --extra onnx and --extra hub.
ARG OPTIONS=""
# The dependencies have a layer of their own, because the sources change more often.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-default-groups --no-install-project ${OPTIONS}
COPY LICENSE ./
COPY diamond_cutter diamond_cutter
COPY flows flows
COPY tasks tasks
COPY model_inventory model_inventory
COPY storage storage
RUN uv sync --locked --no-default-groups --no-editable ${OPTIONS}

FROM python:${PYTHON}-slim
RUN useradd --create-home --uid 1000 cutter && install --directory --owner=cutter /data
COPY --from=build /app/.venv /app/.venv
ENV PATH="/app/.venv/bin:$PATH" PYTHONUNBUFFERED=1 PREFECT_SERVER_ANALYTICS_ENABLED=false
USER 1000
# The default bucket is /data/bucket. Weights and Prefect's files are in the home folder.
WORKDIR /data
ENTRYPOINT ["diamond-cutter"]
CMD ["--help"]
