#include "known.h"

Known *known_place(Known *places, Cursor p, Cursor end, uint64_t seed)
{
    return *p == '{' && end - p >= BEGINNING ? &places[hash_of(p, BEGINNING, seed) & (PLACES - 1)] : NULL;
}

int is_known(const Known *place, const Labels *of, Cursor p, Cursor end)
{
    return place && place->size && (size_t)(end - p) >= place->size
        && memcmp(of->spellings.at + place->at, p, place->size) == 0;
}

void note(Known *place, const Entry *caller)
{
    if (place == NULL || caller->size > UINT32_MAX)
        return;
    place->at = caller->at;
    place->size = (uint32_t)caller->size;
    place->code = caller->code;
}
