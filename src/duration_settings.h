/* duration_settings.h - the one option that delay, sleep and spin share. */
#ifndef HANDOFFD_DURATION_SETTINGS_H
#define HANDOFFD_DURATION_SETTINGS_H

#include "clock.h"
#include "option.h"

struct duration_settings {
    int64_t duration; /* ns */
};

#define DURATION_OPTION(sentence)                                                           \
    {                                                                                       \
        "duration", OPTION_DURATION, offsetof(struct duration_settings, duration), NULL, 0, \
            3600 * NS_PER_SEC, NULL, OPTION_REQUIRED, "seconds", sentence                   \
    }

#endif
