"""scripts/gpu-check without a device: what it refuses, and what it writes where the programs that it runs are stubs."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/gpu-check"
CARD = "#!/bin/sh\necho 'NVIDIA Stub 80GB, 580.65.06, 9.0, 81559 MiB'\n"


class GpuCheck(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "bin").mkdir()
        # This interpreter: what the path calls python3 may be a script that wants more than these programs.
        (self.folder / "bin/python3").symlink_to(os.path.realpath(sys.executable))
        git = shutil.which("git")
        if git:
            (self.folder / "bin/git").symlink_to(os.path.realpath(git))

    def stub(self, name, text="#!/bin/sh\nexit 0\n"):
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def stubs(self, **others):
        self.stub("nvidia-smi", CARD)
        self.stub("nvcc", "#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.88'\n")
        for name in ("cmake", "ninja", "cc"):
            self.stub(name, others.get(name, "#!/bin/sh\nexit 0\n"))

    def check(self, *words):
        return subprocess.run([SCRIPT, "--build", self.folder / "build", "--results", self.folder / "results", *words],
                              env={"PATH": f"{self.folder}/bin", "CUDA_HOME": str(self.folder)}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)

    def report(self):
        found = list(self.folder.glob("results/*/*.json"))
        self.assertEqual(len(found), 1)
        return found[0].parent.name, json.loads(found[0].read_text())

    def test_without_a_driver_it_says_so_in_a_line(self):
        ran = self.check()
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stderr, r"\Agpu-check: no device: nvidia-smi, which comes with NVIDIA's driver, .*\n\Z")

    def test_what_nvidia_smi_complains_of_is_told(self):
        self.stub("nvidia-smi", "#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n")
        ran = self.check()
        self.assertEqual(ran.returncode, 1)
        self.assertIn("no device: nvidia-smi says: Failed to initialize NVML", ran.stderr)

    def test_missing_tools_are_named(self):
        self.stubs()
        (self.folder / "bin/ninja").unlink()
        ran = subprocess.run([SCRIPT, "--build", self.folder / "build"], text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, check=False, env={"PATH": f"{self.folder}/bin"})
        self.assertEqual(ran.returncode, 1)
        self.assertIn("not found: ninja", ran.stderr)

    def test_a_folder_without_libraries_is_refused(self):
        self.stubs()
        ran = self.check("--dependencies", str(self.folder))
        self.assertEqual(ran.returncode, 1)
        self.assertIn("no usr/lib and usr/include in it", ran.stderr)

    def test_unknown_stages_and_results_of_a_stand_in_are_usage_errors(self):
        self.assertEqual(self.check("--only", "nothing").returncode, 2)
        ran = subprocess.run([SCRIPT, "--stand-in", "cuemu-run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             check=False)
        self.assertEqual(ran.returncode, 2)
        self.assertIn("wants a --results folder", ran.stderr)

    def test_results_hold_card_driver_commit_and_stages(self):
        self.stubs()
        ran = self.check("--only", "build")
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        folder, report = self.report()
        self.assertEqual(folder, "nvidia-stub-80gb")
        self.assertEqual(report["card"], {"name": "NVIDIA Stub 80GB", "driver": "580.65.06", "compute_capability": "9.0",
                                          "memory": "81559 MiB"})
        self.assertTrue(report["passed"] and report["commit"] and report["cuda"])
        self.assertEqual([(stage["name"], stage["passed"]) for stage in report["stages"]], [("build", True)])

    def test_the_build_is_for_this_card_and_the_tests_for_the_device(self):
        self.stubs(cmake=f"#!/bin/sh\necho \"$@\" >>{self.folder}/said\n")
        self.check("--only", "build")
        said = (self.folder / "said").read_text()
        self.assertIn("-DBP_CUDA_ARCHITECTURES=90", said)
        self.assertIn("-DBP_TEST_DEVICE=ON", said)

    def test_a_build_that_fails_ends_it_and_shows_the_log(self):
        self.stubs(cmake="#!/bin/sh\necho install oneDNN\nexit 1\n")
        ran = self.check()
        self.assertEqual(ran.returncode, 1)
        self.assertIn("install oneDNN", ran.stdout)
        _, report = self.report()
        self.assertFalse(report["passed"])
        self.assertEqual([stage["name"] for stage in report["stages"]], ["build"])

    def test_a_stage_that_takes_too_long_fails_and_so_does_what_finds_no_time(self):
        self.stubs(cmake="#!/bin/sh\nexec /bin/sleep 60\n")
        ran = self.check("--only", "build", "--minutes", "0.05")
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stdout, "cmake did not end within [123] s")

    def test_what_came_before_is_written_where_it_is_cut_short(self):
        self.stubs()
        self.stub("ctest", "#!/bin/sh\n/bin/kill -9 $(/bin/ps -o ppid= -p $$)\nexec /bin/sleep 60\n")
        self.assertEqual(self.check().returncode, -9)
        _, report = self.report()
        self.assertFalse(report["passed"])
        self.assertEqual([(stage["name"], stage["passed"]) for stage in report["stages"]], [("build", True)])

    def test_figures_come_before_the_sanitizers_and_a_tool_that_hangs_leaves_the_others_their_time(self):
        self.stubs()
        self.stub("ctest")
        self.program('{"backprop_plan": 1, "process": ', keeps=True)
        self.stub("compute-sanitizer", f"#!/bin/sh\necho \"$2\" >>{self.folder}/tools\nexec /bin/sleep 60\n")
        self.check("--only", "sanitizer,bench", "--minutes", "0.5")
        _, report = self.report()
        self.assertEqual([stage["name"] for stage in report["stages"]], ["build", "bench", "sanitizer"])
        self.assertEqual({"memcheck", "racecheck", "initcheck", "synccheck"}, set((self.folder / "tools").read_text().split()))

    def test_tests_are_those_of_f32_and_of_bf16(self):
        self.stubs()
        self.stub("ctest", f"#!/bin/sh\necho \"$@\" >>{self.folder}/said\n")
        self.check("--only", "tests")
        self.assertIn("-R ^cuda_(bf16_)?test_ ", (self.folder / "said").read_text())

    def test_tests_that_did_not_run_are_no_success(self):
        self.stubs()
        self.stub("ctest")
        ran = self.check("--only", "tests")
        self.assertEqual(ran.returncode, 1)
        _, report = self.report()
        self.assertEqual([stage["passed"] for stage in report["stages"]], [True, False])

    def program(self, plan_text, keeps):
        """A backprop that writes what is asked for: a plan where there is none (or always), a model, figures."""
        folder = self.folder / "build/cli"
        folder.mkdir(parents=True, exist_ok=True)
        words = "while [ $# -gt 0 ]; do case $1 in --plan) plan=$2;; --out) out=$2;; --json) json=$2;; esac; shift; done"
        there = '[ -e "$plan" ] || ' if keeps else ""
        (folder / "backprop").write_text(
            f"#!/bin/sh\n{words}\n[ -z \"$plan\" ] || {{ {there}echo '{plan_text}'\"$$\"'}}' >\"$plan\"; }}\n"
            "[ -z \"$out\" ] || { /bin/mkdir -p \"$out\"; echo bits >\"$out/model.safetensors\"; }\n"
            "[ -z \"$json\" ] || echo '{\"benchmarks\": []}' >\"$json\"\nexit 0\n")
        (folder / "backprop").chmod(0o755)

    def test_a_plan_that_is_measured_is_read_by_the_next_run_and_kept(self):
        self.stubs()
        self.stub("ctest")
        self.program('{"backprop_plan": 1, "process": ', keeps=True)
        self.check("--only", "tests")
        _, report = self.report()
        self.assertEqual(report["plan"]["backprop_plan"], 1)
        self.assertFalse([words for words in report["stages"][1]["failures"] if "--plan" in words])

    def test_a_plan_that_is_made_anew_fails(self):
        self.stubs()
        self.stub("ctest")
        self.program('{"backprop_plan": 1, "process": ', keeps=False)
        self.check("--only", "tests")
        _, report = self.report()
        self.assertNotIn("plan", report)
        self.assertIn("--plan: the run that read the plan wrote it anew", report["stages"][1]["failures"])

    def test_the_step_is_timed_by_plan_in_each_precision(self):
        self.stubs()
        self.program('{"backprop_plan": 1, "process": ', keeps=True)
        self.check("--only", "bench")
        _, report = self.report()
        self.assertEqual(list(report["planned"]), ["f32", "tf32", "bf16"])
        for planned in report["planned"].values():
            self.assertEqual(planned["bench"], {"benchmarks": []})
        processes = {planned["plan"]["process"] for planned in report["planned"].values()}
        self.assertEqual(len(processes), 3)  # a file of its own each


if __name__ == "__main__":
    unittest.main()
