/* thread_sanitizer.c: lets Criterion run in a build with the thread sanitizer; empty in every other build.
 *
 * Criterion shares memory with the processes of its tests at an address that it draws with rand_r: 0x200000000000 +
 * r * 2^24, r the lower 22 bits. The sanitizer needs nearly all of that range for itself and refuses the mapping. So
 * the draw is ours here, and falls into the part that the sanitizer leaves to programs, 0x550000000000 to
 * 0x568000000000. Criterion still checks that what it drew is free, and draws again where it is not. Nothing of ours
 * calls rand_r. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BP_THREAD_SANITIZER
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define BP_THREAD_SANITIZER
#endif

#ifdef BP_THREAD_SANITIZER
#define FIRST_DRAW 0x350000u /* (0x550000000000 - 0x200000000000) >> 24 */
#define DRAWS 0x8000u

__attribute__((visibility("default"))) int rand_r(unsigned *seed);

int rand_r(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (int)(FIRST_DRAW + (*seed >> 16) % DRAWS);
}
#else
typedef int bp_no_thread_sanitizer; /* a file must not be empty */
#endif
