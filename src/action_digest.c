/* digest: the digest of the request's body, by libcrypto, as the body arrives. */
#include "action.h"
#include "body_stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct settings {
    int64_t algorithm; /* into the row's choices */
    EVP_MD *digest;
};

static const char *const algorithms[] = {"sha256",   "sha224",   "sha384",     "sha512",
                                         "sha3-256", "sha3-512", "blake2b512", "blake2s256",
                                         "sha1",     "md5",      NULL};

static const struct option_row options[] = {
    {"algorithm", OPTION_ENUM, offsetof(struct settings, algorithm), "sha256", 0, 0, algorithms, 0,
     NULL, "The digest that is computed."},
    {0},
};

/* Between two looks at the cancel flag: some hundred microseconds of work. */
enum { PIECE = 256 << 10 };

static int create(void *settings, const struct conf_check *check)
{
    struct settings *s = settings;

    s->digest = EVP_MD_fetch(NULL, algorithms[s->algorithm], NULL);
    if (!s->digest)
        conf_check_fault(check, "algorithm",
                         "found \"%s\", which this machine's libcrypto does not offer; allowed: "
                         "one that it does",
                         algorithms[s->algorithm]);
    return 0;
}

static void destroy(void *settings)
{
    EVP_MD_free(((struct settings *)settings)->digest);
}

static int update(EVP_MD_CTX *context, struct request *request, const char *data, size_t len)
{
    while (len) {
        size_t n = len < PIECE ? len : PIECE;

        if (task_cancelled(&request->task))
            return -ECANCELED;
        if (!EVP_DigestUpdate(context, data, n))
            return -EIO;
        data += n;
        len -= n;
    }
    return 0;
}

static int update_all(EVP_MD_CTX *context, struct request *request)
{
    const char *data;
    ssize_t n;
    int r = 0;

    while (!r && (n = body_read(request, &data)) != 0)
        r = n < 0 ? (int)n : update(context, request, data, (size_t)n);
    return r;
}

static int respond(struct request *request, const unsigned char *digest, unsigned len)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc(2 * len + 2), *at = hex;

    for (unsigned i = 0; hex && i < len; i++) {
        *at++ = digits[digest[i] >> 4];
        *at++ = digits[digest[i] & 15];
    }
    if (hex)
        *at = '\n';
    return response_own(request, 200, "text/plain; charset=utf-8", hex, 2 * len + 1);
}

static int run(struct request *request, const void *settings)
{
    const struct settings *s = settings;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int r = context ? 0 : -ENOMEM;

    if (!r && !EVP_DigestInit_ex2(context, s->digest, NULL))
        r = -EIO;
    if (!r)
        r = update_all(context, request);
    if (!r && !EVP_DigestFinal_ex(context, digest, &len))
        r = -EIO;
    EVP_MD_CTX_free(context);
    if (r)
        ERR_clear_error(); /* or the thread keeps what libcrypto has to say about it */
    return r ? r : respond(request, digest, len);
}

const struct action action_digest = {
    .conf = {.name = "digest",
             .blocking = true,
             .methods = action_methods_any,
             .options = options,
             .settings_size = sizeof(struct settings),
             .create = create,
             .destroy = destroy,
             .doc = "The digest of the request's body."},
    .needs = ACTION_STREAMS_BODY,
    .run = run,
};
