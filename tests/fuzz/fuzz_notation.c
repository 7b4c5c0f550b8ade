/* fuzz_notation: any bytes as the text of --layers; what is accepted is written, and read back as the same blocks. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "host/model.h"

static void check(bp_context *context, bp_block *blocks, int64_t count)
{
    char *text, *again;
    size_t bytes, bytes_again;
    int64_t count_again;
    bp_block *read;
    for (int64_t i = 0; i < count; i++) {
        fuzz_require(blocks[i].units >= 1, "a block has units");
        if (blocks[i].activation == BP_ACTIVATION_LEAKY_RELU && !(blocks[i].slope > 0.0f))
            blocks[i].slope = 0.01f; /* as bp_model_create gives it: a slope that is written is there */
    }
    fuzz_require(bpi_notation_format(context, blocks, count, &text, &bytes) == BP_STATUS_OK, "blocks can be written");
    fuzz_require(strlen(text) + 1 == bytes, "the text is as long as was measured");
    fuzz_require(bpi_notation_parse(context, text, &read, &count_again) == BP_STATUS_OK, "what was written is read");
    fuzz_require(count_again == count, "no block is lost");
    fuzz_require(bpi_notation_format(context, read, count, &again, &bytes_again) == BP_STATUS_OK, "and written again");
    fuzz_require(strcmp(text, again) == 0, "the text is the same the second time");
    bpi_free(context, again, bytes_again);
    bpi_free(context, read, (size_t)count * sizeof *read);
    bpi_free(context, text, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    bp_context *context = fuzz_context();
    bp_block *blocks;
    int64_t block_count;
    char *text = malloc(count + 1);
    fuzz_require(text != NULL, "malloc");
    memcpy(text, bytes, count);
    text[count] = '\0';
    if (fuzz_accepted(bpi_notation_parse(context, text, &blocks, &block_count))) {
        check(context, blocks, block_count);
        bpi_free(context, blocks, (size_t)block_count * sizeof *blocks);
    }
    free(text);
    fuzz_require_no_leak();
    return 0;
}
