/* memory_words.h: the words that all instructions on memory share: spaces, caches, ordering. */
#ifndef CUE_MEMORY_WORDS_H
#define CUE_MEMORY_WORDS_H

#include "device/decoder.h"

#define CUE_SPACE_WORDS "global const shared shared::cta local param param::entry param::func"
#define CUE_CACHE_WORDS                                                                                                \
    "ca cg cs lu cv wb wt L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate "        \
    "L2::evict_normal L2::evict_first L2::evict_last L2::cache_hint L2::64B L2::128B L2::256B"
#define CUE_ORDER_WORDS "volatile relaxed acquire release acq_rel cta gpu sys"

cue_space cue_take_space(cue_decoder *d);   /* CUE_GENERIC where none is named */
bool cue_take_strong(cue_decoder *d);       /* volatile, relaxed, acquire, release */
void cue_skip_cache_policy(cue_decoder *d); /* the operand that .L2::cache_hint brings */
cue_class cue_space_class(cue_space space);

bool cue_select_load_store(cue_decoder *d); /* load_store.c */
bool cue_select_atomic(cue_decoder *d);     /* atomic.c */
bool cue_select_async(cue_decoder *d);      /* async.c */

#endif
