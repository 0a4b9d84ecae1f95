/* resolve: a name's addresses, or an address's name, by getaddrinfo(3) as JSON.  A look-up cannot be
 * ended early: when its client is answered before, its thread stays busy until it returns. */
#include "action.h"
#include "json_text.h"
#include "problem.h"
#include "template.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>

struct settings {
    char *name;
    int64_t family; /* into the row's choices */
    struct template *template;
};

static const char *const families[] = {"any", "ipv4", "ipv6", NULL};

static const struct option_row options[] = {
    {"name", OPTION_STRING, offsetof(struct settings, name), "${query.name}", 1, 1024, NULL,
     OPTION_TEMPLATE, NULL, "The name or address that is looked up."},
    {"family", OPTION_ENUM, offsetof(struct settings, family), "any", 0, 0, families, 0, NULL,
     "The addresses that are wanted."},
    {0},
};

enum { MAX_NAME = 253 }; /* RFC 1035, as text */

static int create(void *settings, const struct conf_check *check)
{
    struct settings *s = settings;

    return template_compile(check, "name", s->name, TEMPLATE_ARGUMENT, &s->template);
}

static void destroy(void *settings)
{
    template_free(((struct settings *)settings)->template);
}

static json_t *address_json(const struct addrinfo *info)
{
    char text[NI_MAXHOST];

    if (getnameinfo(info->ai_addr, info->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST))
        return NULL;
    return json_pack("{s:s, s:s}", "address", text, "family",
                     info->ai_family == AF_INET6 ? "ipv6" : "ipv4");
}

/* The name that belongs to an address; NULL: it has none. */
static json_t *reverse_json(const struct addrinfo *info)
{
    char name[NI_MAXHOST];

    if (getnameinfo(info->ai_addr, info->ai_addrlen, name, sizeof name, NULL, 0, NI_NAMEREQD))
        return json_null();
    return json_text(name, strlen(name));
}

static bool is_numeric(const char *name)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;

    if (getaddrinfo(name, NULL, &hints, &found))
        return false;
    freeaddrinfo(found);
    return true;
}

static int respond(struct request *request, const struct slice *name, const struct addrinfo *found)
{
    json_t *addresses = json_array();
    json_t *document =
        json_pack("{s:o, s:o}", "name", json_text(name->data, name->len), "addresses", addresses);

    for (const struct addrinfo *info = found; document && info; info = info->ai_next)
        json_array_append_new(addresses, address_json(info));
    if (document && found && found->ai_canonname && !is_numeric(name->data))
        json_object_set_new(document, "canonical_name",
                            json_text(found->ai_canonname, strlen(found->ai_canonname)));
    if (document && found && is_numeric(name->data))
        json_object_set_new(document, "host", reverse_json(found));
    return json_text_respond(request, 200, "application/json", document);
}

static void respond_failure(struct request *request, const struct slice *name, int error)
{
    bool unknown = error == EAI_NONAME || error == EAI_NODATA || error == EAI_ADDRFAMILY;

    problem_respond(request, unknown ? 404 : 502, NULL, "cannot resolve \"%s\": %s", name->data,
                    error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
}

static int run(struct request *request, const void *settings)
{
    static const int kinds[] = {AF_UNSPEC, AF_INET, AF_INET6};
    const struct settings *s = settings;
    const struct addrinfo hints = {.ai_family = kinds[s->family],
                                   .ai_socktype = SOCK_STREAM, /* each address once */
                                   .ai_flags = AI_CANONNAME};
    struct addrinfo *found = NULL;
    struct slice name;
    int error, r = template_fill(s->template, request, &name);

    if (r)
        return r > 0 ? 0 : r;
    if (!name.len || name.len > MAX_NAME) {
        problem_respond(request, 400, NULL, "the name has %zu bytes; allowed: 1 to %d", name.len,
                        MAX_NAME);
        return 0;
    }
    error = getaddrinfo(name.data, NULL, &hints, &found);
    if (error) {
        respond_failure(request, &name, error);
        return 0;
    }
    r = respond(request, &name, found);
    freeaddrinfo(found);
    return r;
}

const struct action action_resolve = {
    .conf = {.name = "resolve",
             .blocking = true,
             .methods = action_methods_get,
             .options = options,
             .settings_size = sizeof(struct settings),
             .create = create,
             .destroy = destroy,
             .doc = "A name's addresses, or an address's name, as JSON."},
    .run = run,
};
