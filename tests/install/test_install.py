"""An installed copy runs, and is enough to build the example, by CMake's find_package and by pkg-config, in C and in C++;
and it can be moved."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("BP_BINARY_DIR")
EXAMPLE = ROOT / "examples" / "train_fashion_mnist.c"
PROJECT = f"""cmake_minimum_required(VERSION 3.25)
project(embedding LANGUAGES C)
find_package(backprop 0.1 REQUIRED)
add_executable(example {EXAMPLE})
target_link_libraries(example PRIVATE backprop::backprop)
"""
CXX_PROGRAM = """#include <backprop/backprop.h>
#include <cstdio>
int main()
{
    bp_model_options network = {};
    network.inputs = 4;
    network.layers = "3:relu,2";
    bp_context *context = nullptr;
    bp_model *model = nullptr;
    int failed = bp_context_create(nullptr, &context) || bp_model_create(context, &network, &model);
    if (failed)
        std::printf("%s\\n", bp_last_error(context));
    else
        std::printf("%lld parameters\\n", (long long)bp_model_parameter_count(model));
    bp_model_destroy(model);
    bp_context_destroy(context);
    return failed;
}
"""


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: exit status {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


@unittest.skipIf(not BUILD, "BP_BINARY_DIR names no build")
class InstallTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        run("cmake", "--install", BUILD, "--prefix", self.folder / "first")
        self.prefix = self.folder / "moved"
        (self.folder / "first").rename(self.prefix)

    def library_folder(self):
        [library] = self.prefix.glob("lib*/**/libbackprop.so")
        return library.parent

    def expect_runs(self, program):
        """Without the data set the program says so; either way it ran against the installed library."""
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.library_folder())}
        linked = run("ldd", program, env=environment)
        self.assertIn(str(self.library_folder()), linked)

    def test_the_command_line_runs_where_it_was_installed(self):
        environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        self.assertIn("reference", run(self.prefix / "bin" / "backprop", "info", env=environment))

    def test_builds_the_example_by_find_package(self):
        source = self.folder / "project"
        source.mkdir()
        (source / "CMakeLists.txt").write_text(PROJECT)
        run("cmake", "-S", source, "-B", source / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", source / "build")
        self.expect_runs(source / "build" / "example")

    @unittest.skipIf(shutil.which("pkg-config") is None, "pkg-config is not installed")
    def test_builds_the_example_by_pkg_config(self):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.library_folder() / "pkgconfig")}
        flags = run("pkg-config", "--cflags", "--libs", "backprop", env=environment).split()
        run("cc", "-std=c11", "-o", self.folder / "example", EXAMPLE, *flags)
        self.expect_runs(self.folder / "example")

    @unittest.skipIf(shutil.which("c++") is None, "there is no C++ compiler")
    def test_a_cxx_program_links(self):
        source = self.folder / "program.cpp"
        source.write_text(CXX_PROGRAM)
        run("c++", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", self.folder / "program", source,
            f"-I{self.prefix / 'include'}", f"-L{self.library_folder()}", "-lbackprop",
            f"-Wl,-rpath,{self.library_folder()}")
        self.assertEqual(run(self.folder / "program"), "23 parameters\n")

    def test_installs_the_public_headers_and_no_others(self):
        installed = {path.name for path in self.prefix.glob("include/**/*.h")}
        self.assertEqual(installed, {path.name for path in (ROOT / "include" / "backprop").glob("*.h")})


if __name__ == "__main__":
    unittest.main()
