"""The laws of DESIGN hold for this tree and this build; and each law finds what breaks it, planted in a small tree."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import library
import sources

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("BP_BINARY_DIR")
INCLUDE = ROOT / "include"
HEADERS = sorted(path.relative_to(INCLUDE).as_posix() for path in INCLUDE.rglob("*.h"))
C11 = ["cc", "-std=c11", "-x", "c"]
CXX17 = ["c++", "-std=c++17", "-x", "c++"]


class SourcesKeepTheLaws(unittest.TestCase):
    def test_every_law(self):
        for law in sources.LAWS:
            with self.subTest(law.__name__):
                self.assertEqual(law(ROOT), [])

    def test_the_laws_see_the_tree(self):
        """Were a folder renamed, the laws would hold for nothing."""
        for folder in ("include", "host", "kernels/math", "kernels/reference", "kernels/cpu", "cli", "examples"):
            self.assertTrue(list(sources.files(ROOT, folder)), folder)
        self.assertTrue(list(sources.includes(ROOT, "kernels/reference")))


class Planted(unittest.TestCase):
    """law, file, text that breaks it, text beside it that does not."""
    PLANTED = [
        ("public_headers_include_only_the_standard_library", "include/backprop/a.h", "#include <unistd.h>",
         "#include <stdint.h>"),
        ("public_headers_include_only_the_standard_library", "include/backprop/a.h", '#include "../../kernels/ops.h"',
         '#include "status.h"'),
        ("only_the_cuda_backend_includes_cuda_headers", "host/a.c", "#include <cuda_runtime_api.h>",
         "#include <math.h>"),
        ("only_the_cuda_backend_includes_cuda_headers", "kernels/math/a.h", "# include <cublas_v2.h>", ""),
        ("only_the_cuda_backend_includes_cuda_headers", "cli/a.c", "#include <nccl.h>", ""),
        ("backends_know_neither_the_host_nor_each_other", "kernels/cpu/a.c", '#include "host/model.h"',
         '#include "kernels/ops.h"'),
        ("backends_know_neither_the_host_nor_each_other", "kernels/cpu/a.c", '#include "../../host/model.h"',
         '#include "../error.h"'),
        ("backends_know_neither_the_host_nor_each_other", "kernels/cuda/a.cu", '#include "kernels/cpu/a.h"',
         '#include "kernels/math/exp.h"'),
        ("the_reference_is_independent_of_kernels_math", "kernels/reference/a.c", '#include "kernels/math/exp.h"',
         "#include <math.h>"),
        ("the_reference_is_independent_of_kernels_math", "kernels/reference/a.c", '#include "../math/exp.h"', ""),
        ("programs_use_the_public_headers_alone", "cli/a.c", '#include "host/model.h"',
         "#include <backprop/backprop.h>"),
        ("programs_use_the_public_headers_alone", "examples/a.c", '#include "../kernels/ops.h"', ""),
        ("no_condition_on_a_backend_outside_the_registry", "host/a.c", "#ifdef BP_WITH_CUDA\n#endif",
         "#ifndef BPI_CUDA_H\n#define BPI_CUDA_H\n#endif"),
        ("no_condition_on_a_backend_outside_the_registry", "host/a.c", "#ifdef __CUDACC__\n#endif", ""),
        ("no_condition_on_a_backend_outside_the_registry", "kernels/math/a.h",
         "#if defined(__CUDACC__) && BP_GPU\n#endif", "#ifdef __CUDACC__\n#endif"),
        ("no_condition_on_a_backend_outside_the_registry", "kernels/cpu/a.c", "#if BPI_CUDA_X86\n#endif",
         "#if BPI_CPU_X86\n#endif"),
        ("no_fast_math", "kernels/cpu/CMakeLists.txt", "target_compile_options(x PRIVATE -ffast-math)",
         "target_compile_options(x PRIVATE -fno-fast-math)  # never -ffast-math"),
        ("no_fast_math", "kernels/cpu/a.c", '__attribute__((optimize("Ofast")))', "/* without -ffast-math */"),
        ("no_fast_math", "kernels/cuda/CMakeLists.txt", "--use_fast_math", "--fmad=false"),
        ("nothing_is_left_for_later", "host/a.c", "/* TO" "DO: */", "/* to do */"),
        ("comments_fit_the_page", "host/a.c", "/* " + "a" * 115 + " */", "/* " + "a" * 114 + " */"),
        ("kernels_say_how_they_are_launched", "kernels/cuda/a.cu", "static __global__ void f(int n)",
         "static __global__ void __launch_bounds__(256) f(int n) /* a __global__ */"),
        ("comments_fit_the_page", "kernels/cuda/a.cu", " * " + "a" * 118, " * " + "a" * 117),
    ]

    def tree(self, file, text):
        root = pathlib.Path(tempfile.mkdtemp(prefix="laws-"))
        self.addCleanup(shutil.rmtree, root)
        for path, content in (("include/backprop/status.h", ""), ("host/model.h", ""), ("kernels/ops.h", ""),
                              ("kernels/error.h", ""), ("kernels/math/exp.h", ""), ("kernels/cpu/a.h", ""),
                              (file, text)):
            root.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
            root.joinpath(path).write_text(content + "\n")
        return root

    def test_each_law_finds_what_breaks_it_and_nothing_else(self):
        for name, file, broken, kept in self.PLANTED:
            with self.subTest(law=name, text=broken):
                law = getattr(sources, name)
                self.assertEqual(len(law(self.tree(file, broken))), 1)
                self.assertEqual(law(self.tree(file, kept)), [])

    def test_every_law_is_planted(self):
        self.assertEqual({law.__name__ for law in sources.LAWS}, {name for name, *_ in self.PLANTED})


class HeadersStandAlone(unittest.TestCase):
    def test_each_as_c11_and_as_cxx17(self):
        self.assertTrue(HEADERS)
        for header in HEADERS:
            for command in (C11, CXX17):
                with self.subTest(header=header, language=command[1]):
                    self.assertEqual(library.header_problems(header, INCLUDE, command), [])

    def test_a_header_that_needs_another_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "needy.h").write_text("void f(int64_t x);\n")
            pathlib.Path(folder, "c_only.h").write_text("void f(int class);\n")
            self.assertNotEqual(library.header_problems("needy.h", folder, C11), [])
            self.assertEqual(library.header_problems("c_only.h", folder, C11), [])
            self.assertNotEqual(library.header_problems("c_only.h", folder, CXX17), [])


@unittest.skipUnless(BUILD, "no build folder is given in BP_BINARY_DIR: run by ctest")
class LibraryKeepsTheLaws(unittest.TestCase):
    def setUp(self):
        self.archive, self.shared = f"{BUILD}/libbackprop_static.a", f"{BUILD}/libbackprop.so"

    def test_it_never_prints_exits_or_aborts(self):
        self.assertEqual(library.never_prints_exits_or_aborts(self.archive), [])

    def test_it_has_no_state_of_its_own(self):
        self.assertEqual(library.has_no_state_of_its_own(self.archive), [])

    def test_it_exports_only_bp(self):
        self.assertEqual(library.exports_only_bp(self.shared), [])

    def test_it_exports_what_the_headers_declare(self):
        self.assertEqual(library.exports_what_the_headers_declare(self.shared, INCLUDE), [])


class PlantedInALibrary(unittest.TestCase):
    def build(self, source):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="laws-"))
        self.addCleanup(shutil.rmtree, folder)
        folder.joinpath("a.c").write_text("#include <stdio.h>\n#include <stdlib.h>\n" + source)
        subprocess.run(["gcc", "-O2", "-fPIC", "-c", "a.c", "-o", "a.o"], cwd=folder, check=True)
        subprocess.run(["ar", "rc", "a.a", "a.o"], cwd=folder, check=True)
        subprocess.run(["gcc", "-shared", "a.o", "-o", "a.so"], cwd=folder, check=True)
        return folder

    def test_printing_and_ending(self):
        for call in ('printf("%d", x)', 'puts("x")', 'fprintf(stderr, "%d", x)', "perror(0)", "exit(x)", "abort()"):
            with self.subTest(call):
                archive = self.build(f"void bp_f(int x) {{ (void)x; {call}; }}") / "a.a"
                self.assertEqual(len(library.never_prints_exits_or_aborts(archive)), 1)
        archive = self.build('int bp_f(FILE *file, char *text) { return fprintf(file, "%s", text); }') / "a.a"
        self.assertEqual(library.never_prints_exits_or_aborts(archive), [])

    def test_state(self):
        for state in ("static int count", "static int count = 3", "static _Thread_local int count", "int count"):
            with self.subTest(state):
                archive = self.build(f"{state}; int bp_f(void) {{ return count++; }}") / "a.a"
                self.assertEqual(len(library.has_no_state_of_its_own(archive)), 1)
        archive = self.build('static const char *const names[] = {"a", "b"}; static const int n[] = {1, 2};\n'
                             "const char *bp_f(int i) { return names[n[i]]; }") / "a.a"
        self.assertEqual(library.has_no_state_of_its_own(archive), [])

    def test_exports(self):
        folder = self.build("int bp_f(void) { return 1; } int bpi_g(void) { return 2; }")
        self.assertEqual(len(library.exports_only_bp(folder / "a.so")), 1)
        folder.joinpath("a.h").write_text("BP_API int bp_f(void);\nBP_API int bp_h(void);\n")
        self.assertEqual(library.exports_what_the_headers_declare(folder / "a.so", folder),
                         ["bp_h is declared but not exported"])
        folder.joinpath("a.h").write_text("")
        self.assertEqual(library.exports_what_the_headers_declare(folder / "a.so", folder),
                         ["bp_f is exported but not declared"])


if __name__ == "__main__":
    unittest.main()
