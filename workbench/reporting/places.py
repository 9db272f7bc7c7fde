"""Where the notebooks lie: beside the working directory's data, in the checkout, or inside an installed package."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import ReportError, nearest

PACKAGE = Path(__file__).resolve().parents[1]
DASHBOARD = "06_dashboard.ipynb"


def notebooks_folder(given: Path | None = None) -> Path:
    """Return the folder of the notebooks: the one given, ``notebooks`` here, else that of the checkout.

    Raises ReportError listing the folders that were looked at.
    """
    places = [given] if given is not None else [Path("notebooks"), PACKAGE.parent / "notebooks", PACKAGE / "notebooks"]
    for place in places:
        if (place / "templates").is_dir() or (given is not None and place.is_dir()):
            return place.resolve()
    looked = ", ".join(str(place.absolute()) for place in places)
    raise ReportError(
        f"there is no folder of notebooks: looked at {looked}. Start from the folder of the workbench, the one that "
        "holds notebooks/, or name the template by its path."
    )


def template_file(template: str | Path) -> Path:
    """Return the file of a template, given by path or by name. Raises ReportError naming the nearest one there is."""
    path = Path(template)
    if path.suffix == ".ipynb":
        if not path.is_file():
            raise ReportError(f"template {path} does not exist; give the path of a notebook or the name of a template.")
        return path.resolve()
    folder = notebooks_folder() / "templates"
    found = folder / f"{template}.ipynb"
    if not found.is_file():
        names = [file.stem for file in folder.glob("*.ipynb")]
        raise ReportError(f"there is no template {template} in {folder}; {nearest(str(template), names)}.")
    return found
