"""Models and cuts with made-up numbers and hostile names."""

from diamond_cutter.tasks.cut_report.contents import ComparedModelCard, CutRow

HOSTILE = "block</title><script>alert(1)</script>&\x07\"'"


def compared_models() -> tuple[ComparedModelCard, ...]:
    """Return three models."""
    return tuple(
        ComparedModelCard(
            name=f"network-{place}",
            key=f"network-{place}@1a2b3c4d",
            height=32,
            width=32,
            imagenet=None if place == 2 else 0.7 + place / 20,
            imagenet_source=None,
            verdict="early",
            words="The accuracy peaks early.",
            join=None,
        )
        for place in range(3)
    )


def rows_of(models: tuple[ComparedModelCard, ...]) -> tuple[CutRow, ...]:
    """Return three cuts of each model, one of them with a hostile name."""
    return tuple(
        CutRow(
            model=model.name,
            layer=f"{place} {HOSTILE}" if place == 1 else f"block_{place}",
            probe=0.5 + 0.1 * place + 0.03 * number,
            probe_low=0.45 + 0.1 * place + 0.03 * number,
            probe_high=0.55 + 0.1 * place + 0.03 * number,
            balanced=0.5,
            knn=0.5,
            knn_1=0.4,
            knn_20=0.5,
            logme=-0.2,
            h_score=1.0,
            total_activation=12345.0,
            effective_rank=7.0,
            dead=0.01,
            imagenet=model.imagenet,
            depth=(place + 1) / 3,
            parameters=1000 * (place + 1),
            macs=10**6 * (place + 1) * (number + 1),
            ms=0.5,
            on_front=place == 2,
        )
        for number, model in enumerate(models)
        for place in range(3)
    )
