/* See traffic.h. */
#include "support/traffic.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>

#include "support/cuemu.h"

bpt_device *bpt_open_counted(const char *entry)
{
    bpt_skip_without_cuda(entry);
    bpt_device *device = bpt_open(bpt_fast(), 1);
    if (!bpt_on_cuemu())
        cr_skip_test("this is a device, which counts nothing: cuemu does");
    return device;
}

void bpt_check_traffic(const char *kernel, bpt_limits limits)
{
    bpt_check_traffic_besides(kernel, limits, 0.0);
}

void bpt_check_traffic_besides(const char *kernel, bpt_limits limits, double needed_besides)
{
    double moved = (double)(bpt_count(kernel, "global_read_bytes") + bpt_count(kernel, "global_write_bytes"));
    double needed =
        (double)(bpt_count(kernel, "needed_read_bytes") + bpt_count(kernel, "needed_write_bytes")) + needed_besides;
    double sectors = (double)(bpt_count(kernel, "global_read_sectors") + bpt_count(kernel, "global_write_sectors"));
    double accesses = 32.0 * (double)bpt_count(kernel, "instructions_global");
    cr_assert(bpt_count(kernel, "launches") > 0 && needed >= 0x1p21, "%s moved %g bytes", kernel, needed);
    cr_log_info("%s: %.4f of what it needs, %.4f of its sectors, %.2f bytes an access\n", kernel, moved / needed,
                moved / (32.0 * sectors), moved / accesses);
    cr_expect(moved <= limits.moved_over_needed * needed, "%s moves %.4f of what it needs", kernel, moved / needed);
    cr_expect(moved >= limits.sector_share * 32.0 * sectors, "%s uses %.4f of its sectors", kernel,
              moved / (32.0 * sectors));
    cr_expect(moved >= limits.access_bytes * accesses, "%s moves %.2f bytes an access", kernel, moved / accesses);
    cr_expect_eq(bpt_count(kernel, "shared_conflicts"), 0, "%s has bank conflicts", kernel);
}
