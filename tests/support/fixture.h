/* fixture.h: what a test of files stands on: a context whose memory is counted, and a temporary folder; both are gone
 * after the test, with everything that was allocated. For one file of tests:
 *     TestSuite(npy, .init = set_up, .fini = tear_down); */
#ifndef BPT_FIXTURE_H
#define BPT_FIXTURE_H

#include "support/folder.h"
#include "support/hooks.h"
#include "support/status.h"

static bpt_hooks hooks;
static bp_context *context;
static bpt_folder folder;

static void set_up(void)
{
    hooks = (bpt_hooks){0};
    context = bpt_hooks_context(&hooks);
    folder = bpt_folder_make();
}

static void tear_down(void)
{
    bpt_folder_remove(&folder);
    bp_context_destroy(context);
    cr_assert_eq(hooks.live, 0);
}

#endif
