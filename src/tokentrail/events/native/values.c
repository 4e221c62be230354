#include "values.h"

static int two(Cursor p)
{
    return p[0] >= '0' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9' ? (p[0] - '0') * 10 + p[1] - '0' : -1;
}

int read_time(const Text *text, int64_t *seconds)
{
    static const int8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    Cursor p = text->at;
    int century, year, month, day, hour, minute, second, leap;
    int64_t days;

    if (p == NULL || text->size != 20 || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':'
        || p[19] != 'Z')
        return REFUSED;
    century = two(p), year = two(p + 2), month = two(p + 5), day = two(p + 8);
    hour = two(p + 11), minute = two(p + 14), second = two(p + 17);
    if (century < 19 || year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0
        || minute > 59 || second < 0 || second > 59)
        return REFUSED;
    year += century * 100;
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > lengths[month - 1] + (leap && month == 2))
        return REFUSED;
    year -= month <= 2; /* years that start in March end with the leap day */
    days = year * 365LL + year / 4 - year / 100 + year / 400 + (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 719469;
    *seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    return 0;
}

int read_uuid(const Text *text, uint8_t *to)
{
    static const uint8_t starts[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    static const int8_t values[128] = {
        ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
        ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, /* 0: no digit */
    };
    Cursor p = text->at;
    int high, low;

    if (text->size != 36 || p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-')
        return 0;
    for (int n = 0; n < 16; n++) {
        high = values[p[starts[n]] & 127];
        low = values[p[starts[n] + 1] & 127];
        if (!high || !low || (p[starts[n]] | p[starts[n] + 1]) & 128)
            return 0;
        to[n] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    return 1;
}

int read_count(Cursor *p, Cursor end, double *count)
{
    Cursor at = *p;
    int64_t whole = 0;

    if (*at == 'n') {
        *count = Py_NAN;
        return (*p = word_end(at, end, "null", 4)) ? 0 : REFUSED;
    }
    if ((*p = number_end(at)) == NULL)
        return REFUSED;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (whole > (1LL << 53) / 10)
            return REFUSED;
        whole = whole * 10 + *at - '0';
    }
    if (at < *p && *at == '.')
        for (at++; *at == '0'; at++)
            ;
    *count = (double)whole;
    return at == *p ? 0 : REFUSED;
}
