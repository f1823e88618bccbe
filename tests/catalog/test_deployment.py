from pathlib import Path

from tests.catalog.catalogs import open_catalog


async def test_container_seed_stays_the_same_and_differs_between_deployments(
    tmp_path: Path,
) -> None:
    seeds = []
    for name in ("one", "one", "two"):
        (tmp_path / name).mkdir(exist_ok=True)
        async with open_catalog(tmp_path / name) as catalog:
            seeds.append(await catalog.container_seed())
    assert seeds[0] == seeds[1] != seeds[2]
    assert all(0 <= seed < 1 << 64 for seed in seeds)
