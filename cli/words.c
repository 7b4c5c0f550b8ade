/* words.c: see words.h. */
#include "words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Three significant digits without an exponent: "9.83", "98.3", "983". */
static void three_digits(char *text, size_t size, double value, const char *unit)
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(text, size, "%.*f%s", decimals, value, unit);
}

const char *words_rate(words *w, double per_second)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    size_t unit = 0;
    if (!(per_second >= 0) || isinf(per_second))
        per_second = 0;
    while (per_second >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        per_second /= 1000;
        unit++;
    }
    if (unit == 0)
        snprintf(w->text, sizeof w->text, per_second < 9.995 ? "%.2f" : "%.0f", per_second);
    else
        three_digits(w->text, sizeof w->text, per_second, units[unit]);
    return w->text;
}

const char *words_time(words *w, double seconds)
{
    if (!(seconds >= 0) || isinf(seconds))
        seconds = 0;
    if (seconds >= 59.95)
        return words_time_left(w, seconds);
    three_digits(w->text, sizeof w->text, seconds, " s");
    return w->text;
}

const char *words_time_left(words *w, double seconds)
{
    long long whole = seconds >= 0 && seconds < 1e15 ? (long long)(seconds + 0.5) : 0;
    if (whole < 60)
        snprintf(w->text, sizeof w->text, "%lld s", whole);
    else if (whole < 3600)
        snprintf(w->text, sizeof w->text, "%lldm%02llds", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(w->text, sizeof w->text, "%lldh%02lldm", whole / 3600, whole / 60 % 60);
    else
        snprintf(w->text, sizeof w->text, "%lldd%02lldh", whole / 86400, whole / 3600 % 24);
    return w->text;
}

const char *words_loss(words *w, double loss)
{
    double size = fabs(loss);
    if (!isfinite(loss))
        snprintf(w->text, sizeof w->text, "%s", isnan(loss) ? "nan" : loss < 0 ? "-inf" : "inf");
    else if (size != 0 && (size < 1e-3 || size >= 1e5))
        snprintf(w->text, sizeof w->text, "%.3e", loss);
    else
        snprintf(w->text, sizeof w->text, "%.*f", size < 10 ? 4 : size < 1000 ? 2 : 1, loss);
    return w->text;
}

const char *words_count(words *w, int64_t count)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)count), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
            w->text[at++] = ',';
        w->text[at++] = digits[i];
    }
    w->text[at] = '\0';
    return w->text;
}

const char *words_plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

void words_plain(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 127)
            *c = ' ';
        else if (c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0)
            c[0] = c[1] = ' ';
}
