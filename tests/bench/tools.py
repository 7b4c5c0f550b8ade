"""tools.py: the programs of benchmarks/ whose names do not end in .py, as modules."""
import importlib.machinery
import importlib.util
import pathlib

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"


def load_script(name):
    loader = importlib.machinery.SourceFileLoader("script_" + pathlib.Path(name).name.replace("-", "_"), str(BENCHMARKS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module
