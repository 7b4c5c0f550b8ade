"""The pages agree with the tree: links, paths, headings that comments name, sections of numerics.md, commands."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import pages

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = pathlib.Path(os.environ.get("BP_BINARY_DIR", "/nowhere"), "cli/backprop")


class Pages(unittest.TestCase):
    def test_links_lead_somewhere(self):
        self.assertTrue(pages.pages(ROOT))
        self.assertEqual(pages.broken_links(ROOT), [])

    def test_paths_are_there(self):
        self.assertEqual(pages.missing_files(ROOT), [])

    def test_comments_name_headings_that_are_there(self):
        self.assertEqual(pages.wrong_mentions(ROOT), [])

    def test_every_operation_has_its_section_in_numerics(self):
        self.assertIn("linear_forward", pages.operations(ROOT))
        self.assertIn("gelu_tanh", pages.list_names(ROOT, "model.h", "BP_ACTIVATION_LIST"))
        self.assertEqual(pages.numerics_without_a_section(ROOT), [])

    def test_versions_agree(self):
        build = re.search(r"project\(backprop VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        header = (ROOT / "include/backprop/status.h").read_text()
        parts = [re.search(rf"BP_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH")]
        self.assertEqual(build, ".".join(parts))

    @unittest.skipUnless(CLI.exists(), "no built command line is given by BP_BINARY_DIR: run by ctest")
    def test_readme_lists_the_commands(self):
        said = subprocess.run([CLI, "--help"], check=True, text=True, stdout=subprocess.PIPE).stdout
        commands = re.findall(r"^  ([a-z]+)  ", said.split("Commands")[1].split("Options")[0], re.M)
        listed = re.findall(r"^backprop ([a-z]+)  ", (ROOT / "README.md").read_text(), re.M)
        self.assertTrue(commands)
        self.assertEqual(listed, commands)


class Planted(unittest.TestCase):
    def tree(self, **files):
        root = pathlib.Path(tempfile.mkdtemp(prefix="docs-"))
        self.addCleanup(shutil.rmtree, root)
        for path, text in files.items():
            target = root / path.replace("__", "/").replace("_dot_", ".")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return root

    def test_links(self):
        links = "[a](docs/a.md) [b](docs/b.md) [c](docs/a.md#some-words) [d](docs/a.md#others)\n"
        root = self.tree(README_dot_md=links, docs__a_dot_md="# Some words\n")
        self.assertEqual(pages.broken_links(root), ["README.md: docs/b.md is not there",
                                                    "README.md: docs/a.md#others has no such heading"])

    def test_paths(self):
        root = self.tree(README_dot_md="`host/a.c` `host/b.c` `host/*.c` `host/NAME.c` `cli/NAME.c` `no/path`\n",
                         host__a_dot_c="")
        self.assertEqual(pages.missing_files(root), ["README.md: host/b.c is not there",
                                                     "README.md: cli/NAME.c is not there"])

    def test_mentions(self):
        comment = ('/* docs/a.md#some-words docs/a.md, "Some words"\n'
                   ' * docs/a.md#other docs/a.md, "Other\n * words" docs/b.md */\n')
        root = self.tree(docs__a_dot_md="# Some words\n", host__a_dot_c=comment)
        self.assertEqual(pages.wrong_mentions(root), ["host/a.c: docs/a.md has no anchor other",
                                                      'host/a.c: docs/a.md has no heading "Other words"',
                                                      "host/a.c: docs/b.md is not there"])

    def test_sections(self):
        root = self.tree(kernels__ops_dot_h="struct bpi_ops {\n    bp_status (*create)(int x);\n"
                         "    bp_status (*loss)(int x);\n};\n",
                         include__backprop__model_dot_h='#define BP_ACTIVATION_LIST(X) \\\n    X(RELU, "relu", 0) \\\n'
                         '    X(ELU, "elu", 0)\n#define BP_LOSS_LIST(X) X(MSE, "mse", 0)\n',
                         include__backprop__train_dot_h='#define BP_OPTIMIZER_LIST(X) X(SGD, "sgd", 1)\n',
                         docs__numerics_dot_md="## relu\nloss, mse\n")
        self.assertEqual(pages.numerics_without_a_section(root), ["no section for the operation loss",
                                                                  "no section for the activation elu",
                                                                  "nothing about sgd"])


if __name__ == "__main__":
    unittest.main()
