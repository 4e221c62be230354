#include "json.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static int is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static int is_unit(Cursor p, Cursor end)
{
    return end - p >= 6 && p[0] == '\\' && p[1] == 'u' && is_hex(p[2]) && is_hex(p[3]) && is_hex(p[4]) && is_hex(p[5]);
}

/* Where an escape ends that starts at `p`; NULL where it is none of JSON's, or half of a surrogate pair. */
static Cursor escape_end(Cursor p, Cursor end)
{
    if (end - p < 2)
        return NULL;
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return p + 2;
    case 'u':
        if (!is_unit(p, end))
            return NULL;
        if ((p[2] | 32) != 'd' || p[3] < '8')
            return p + 6;
        return (p[3] | 32) < 'c' && is_unit(p + 6, end) && (p[8] | 32) == 'd' && (p[9] | 32) >= 'c' ? p + 12 : NULL;
    default:
        return NULL;
    }
}

/* The closing quote of a string whose inside starts at `p`; NULL where there is none. */
static Cursor string_end(Cursor p, Cursor end, int *flags)
{
    for (;;) {
#if defined(__SSE2__) && defined(__GNUC__)
        while (end - p >= 16) { /* sixteen bytes at a time to the first that may end or break the string */
            __m128i some = _mm_loadu_si128((const __m128i *)p);
            __m128i stops = _mm_or_si128(
                _mm_or_si128(_mm_cmpeq_epi8(some, _mm_set1_epi8('"')), _mm_cmpeq_epi8(some, _mm_set1_epi8('\\'))),
                _mm_cmpeq_epi8(_mm_min_epu8(some, _mm_set1_epi8(0x1f)), some));
            int found = _mm_movemask_epi8(stops);
            if (found) {
                p += __builtin_ctz((unsigned)found);
                break;
            }
            p += 16;
        }
#endif
        if (*p == '"')
            return p;
        if (*p == '\\') {
            *flags |= ESCAPED;
            p = escape_end(p, end);
            if (p == NULL)
                return NULL;
        }
        else if (*p < 0x20)
            return NULL; /* the end, too */
        else
            p++;
    }
}

Cursor white(Cursor p)
{
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
        p++;
    return p;
}

static Cursor digits(Cursor p)
{
    if (*p < '0' || *p > '9')
        return NULL;
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

Cursor number_end(Cursor p)
{
    if (*p == '-')
        p++;
    if (*p == '0')
        p++;
    else if ((p = digits(p)) == NULL)
        return NULL;
    if (*p == '.' && (p = digits(p + 1)) == NULL)
        return NULL;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        p = digits(p);
    }
    return p;
}

Cursor word_end(Cursor p, Cursor end, const char *word, size_t size)
{
    return (size_t)(end - p) >= size && memcmp(p, word, size) == 0 ? p + size : NULL;
}

Cursor value_end(Cursor p, Cursor end, int depth)
{
    int flags = 0;
    uint8_t closer;

    switch (*p) {
    case '"':
        p = string_end(p + 1, end, &flags);
        return p ? p + 1 : NULL;
    case 't':
        return word_end(p, end, "true", 4);
    case 'f':
        return word_end(p, end, "false", 5);
    case 'n':
        return word_end(p, end, "null", 4);
    case '{': case '[':
        break;
    default:
        return number_end(p);
    }
    if (depth >= DEEPEST)
        return NULL;
    closer = *p == '{' ? '}' : ']';
    p = white(p + 1);
    if (*p == closer)
        return p + 1;
    for (;;) {
        if (closer == '}') {
            if (*p != '"' || (p = string_end(p + 1, end, &flags)) == NULL)
                return NULL;
            p = white(p + 1);
            if (*p != ':')
                return NULL;
            p = white(p + 1);
        }
        if ((p = value_end(p, end, depth + 1)) == NULL)
            return NULL;
        p = white(p);
        if (*p == closer)
            return p + 1;
        if (*p != ',')
            return NULL;
        p = white(p + 1);
    }
}

int next_member(Cursor *p, Cursor end, int first, Member *member)
{
    Cursor at = white(*p);
    int flags = 0;

    if (*at == '}') {
        *p = at + 1;
        return 0; /* a comma before it was refused when it was met */
    }
    if (!first) {
        if (*at != ',')
            return REFUSED;
        at = white(at + 1);
    }
    if (*at != '"')
        return REFUSED;
    member->key = at + 1;
    at = string_end(at + 1, end, &flags);
    if (at == NULL || flags & ESCAPED)
        return REFUSED; /* an escaped name may spell one that we know */
    member->key_size = (size_t)(at - member->key);
    at = white(at + 1);
    if (*at != ':')
        return REFUSED;
    member->value = *p = white(at + 1);
    return 1;
}

int read_text(Cursor *p, Cursor end, Text *text)
{
    Cursor close;

    text->flags = 0;
    text->size = 0;
    if (**p == '"') {
        text->at = *p + 1;
        if ((close = string_end(text->at, end, &text->flags)) == NULL)
            return REFUSED;
        text->size = (size_t)(close - text->at);
        *p = close + 1;
        return 0;
    }
    text->at = NULL;
    return (*p = word_end(*p, end, "null", 4)) ? 0 : REFUSED;
}

int read_raw(Cursor *p, Cursor end, Text *raw)
{
    raw->at = *p;
    raw->flags = 0;
    if ((*p = value_end(*p, end, 0)) == NULL)
        return REFUSED;
    raw->size = (size_t)(*p - raw->at);
    return 0;
}

int read_flag(Cursor *p, Cursor end, int8_t *flag)
{
    Cursor at = *p;

    *flag = *at == 't' ? 1 : *at == 'f' ? 0 : UNKNOWN;
    *p = *at == 't' ? word_end(at, end, "true", 4)
       : *at == 'f' ? word_end(at, end, "false", 5)
                    : word_end(at, end, "null", 4);
    return *p ? 0 : REFUSED;
}
