#include "uri_path.h"

#include <string.h>

void uri_path_add(struct strbuf *out, const char *bytes, size_t len)
{
    /* unreserved and sub-delims, but for the apostrophe, which ends attributes in HTML */
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._~!$()*+,=@/";

    for (size_t i = 0; i < len; i++)
        if (memchr(plain, bytes[i], sizeof plain - 1))
            strbuf_addc(out, bytes[i]);
        else
            strbuf_addf(out, "%%%02X", (unsigned char)bytes[i]);
}
