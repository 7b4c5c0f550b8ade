/* nonfinite.c: see nonfinite.h. */
#include "nonfinite.h"

#include <math.h>

json_t *nonfinite_json(const bp_nonfinite *place, int64_t sample)
{
    char text[512];
    const char *value = isnan(place->value) ? "nan" : place->value > 0 ? "inf" : place->value < 0 ? "-inf" : "";
    bp_nonfinite_text(place, sample, text, sizeof text);
    return json_pack("{sI ss ss sI sI ss sI ss}", "block", (json_int_t)place->block, "what", place->what, "tensor",
                     *place->tensor ? place->tensor : place->what, "row", (json_int_t)place->row, "column",
                     (json_int_t)place->column, "value", value, "sample", (json_int_t)sample, "text", text);
}
