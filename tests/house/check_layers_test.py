"""check_layers sees each way in which an include or LAYERS itself can be wrong."""

import unittest

import check_layers
from bad_tree import BadTree

LAYERS = "base:\nmail: base\nspool: base mail\nqueue: base mail\nsim: base\n"


class CheckLayers(BadTree):
    def problems(self, files):
        self.write({"src/LAYERS": LAYERS, **files})
        return check_layers.find_problems(self.root)

    def test_AllowedIncludesAreQuiet(self):
        files = {
            "src/spool/log.h": '#include <vector>\n#include "mail/id.h"\n#include "spool/b.h"\n',
            "sim/sim_main.cc": '#include "base/task.h"\n#include "sim/disk.h"\n',
            "src/spool/note.h": '// once: #include "queue/plan.h"\n',
        }
        self.assertEqual(self.problems(files), [])

    def test_ARoomMayNotIncludeAnotherRoom(self):
        self.assertEqual(
            self.problems({"src/spool/log.cc": '#include "base/a.h"\n#include "queue/plan.h"\n'}),
            ["src/spool/log.cc:2: spool may not include queue/plan.h"],
        )

    def test_AFloorMayNotReachUp(self):
        self.assertEqual(
            self.problems({"src/base/id.h": '#include "mail/mailbox.h"\n'}),
            ["src/base/id.h:1: base may not include mail/mailbox.h"],
        )

    def test_TestsObeyToo(self):
        self.assertEqual(
            self.problems({"src/mail/id_test.cc": '#  include "spool/log.h"\n'}),
            ["src/mail/id_test.cc:1: mail may not include spool/log.h"],
        )

    def test_AngleBracketsDoNotHideAnInclude(self):
        files = {"src/queue/plan.h": "", "src/spool/a.h": "#include <queue/plan.h>\n"}
        self.assertEqual(self.problems(files), ["src/spool/a.h:1: spool may not include queue/plan.h"])

    def test_TheSimulatorObeysToo(self):
        self.assertEqual(
            self.problems({"sim/disk.h": '#include "spool/log.h"\n'}),
            ["sim/disk.h:1: sim may not include spool/log.h"],
        )

    def test_AFolderThatLayersDoesNotNameIsReportedOnce(self):
        files = {"src/util/a.h": "", "src/util/b.cc": '#include "base/a.h"\n'}
        self.assertEqual(self.problems(files), ["src/util: not named in src/LAYERS"])

    def test_AnIncludeOfAnUnnamedFolderIsReported(self):
        self.assertEqual(
            self.problems({"src/mail/a.cc": '#include "util/b.h"\n'}),
            ["src/mail/a.cc:1: includes util/b.h, and LAYERS does not name util"],
        )

    def test_RelativeIncludesAreReported(self):
        files = {"src/mail/a.cc": '#include "b.h"\n#include "../base/a.h"\n'}
        self.assertEqual(
            self.problems(files),
            [
                'src/mail/a.cc:1: "b.h" is not written from src/',
                'src/mail/a.cc:2: "../base/a.h" is not written from src/',
            ],
        )

    def test_ACycleIsReported(self):
        self.assertEqual(
            self.problems({"src/LAYERS": "base: spool\nmail: base\nspool: mail\n"}),
            ["src/LAYERS: a cycle: base -> spool -> mail -> base"],
        )

    def test_AnUnknownFolderADoubleLineAndNonsenseAreReported(self):
        self.assertEqual(
            self.problems({"src/LAYERS": "base:\nmail: base bsae\nmail: base\nsome words\n"}),
            [
                "src/LAYERS:3: mail is named twice",
                "src/LAYERS:4: not of the form folder: folders",
                "src/LAYERS: mail may include bsae, which has no line of its own",
            ],
        )


if __name__ == "__main__":
    unittest.main()
