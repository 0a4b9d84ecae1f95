#include "notify.h"

#include "clock.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

const char *notify_built_in(void)
{
    return "yes";
}

void notify_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading the configuration",
               (long long)(clock_now_ns() / NS_PER_US));
}

void notify_stopping(const char *status)
{
    sd_notifyf(0, "STOPPING=1\nSTATUS=%s", status);
}

void notify_status(const char *status)
{
    sd_notifyf(0, "STATUS=%s", status);
}

void notify_failed(int error, const char *status)
{
    if (error)
        sd_notifyf(0, "STATUS=%s\nERRNO=%d", status, error);
    else
        notify_status(status);
}

#else

const char *notify_built_in(void)
{
    return "no";
}

void notify_ready(const char *status)
{
    (void)status;
}

void notify_reloading(void)
{
}

void notify_stopping(const char *status)
{
    (void)status;
}

void notify_status(const char *status)
{
    (void)status;
}

void notify_failed(int error, const char *status)
{
    (void)error;
    (void)status;
}

#endif
