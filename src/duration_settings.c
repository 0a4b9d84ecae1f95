#include "duration_settings.h"

int duration_settings_create(void *settings, const struct conf_check *check)
{
    static const struct option_row row = DURATION_OPTION("");
    struct duration_settings *s = settings;

    params_bind_duration(&s->duration, &row, check);
    return 0;
}
