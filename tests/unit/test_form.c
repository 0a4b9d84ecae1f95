/* Fields of queries and forms. */
#include "form.h"
#include "multipart.h"
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct form_fields fields;
static const char *why;

static void begin(void)
{
    arena_clear(&arena);
    arena_init(&arena, NULL, 0);
    fields = (struct form_fields){0};
    why = NULL;
}

/* All fields as "name=value;" with bytes that do not print as \xNN. */
static void check_fields(const char *expected)
{
    struct strbuf text = {0};

    for (size_t i = 0; i < fields.count; i++) {
        const struct slice *sides[] = {&fields.items[i].name, &fields.items[i].value};

        for (int side = 0; side < 2; side++) {
            for (size_t k = 0; k < sides[side]->len; k++) {
                unsigned char c = (unsigned char)sides[side]->data[k];

                if (c < 0x20 || c > 0x7e)
                    strbuf_addf(&text, "\\x%02x", c);
                else
                    strbuf_addc(&text, (char)c);
            }
            strbuf_adds(&text, side ? ";" : "=");
        }
    }
    ck_assert_strbuf(&text, expected);
}

START_TEST(queries_are_taken_apart)
{
    static const struct {
        const char *text, *fields;
    } table[] = {
        {"", ""},
        {"a=1", "a=1;"},
        {"a=1&b=2", "a=1;b=2;"},
        {"a", "a=;"},
        {"a=", "a=;"},
        {"=1", "=1;"},
        {"=", "=;"},
        {"&&a=1&&", "a=1;"},
        {"a=1=2", "a=1=2;"},
        {"a+b=c+d", "a b=c d;"},
        {"a%20b=%3d%26", "a b==&;"},
        {"a=%", "a=%;"},
        {"a=%2", "a=%2;"},
        {"a=%zz%2g", "a=%zz%2g;"},
        {"a=%00%ff", "a=\\x00\\xff;"},
        {"a=%c3%a4", "a=\\xc3\\xa4;"},
        {"a;b=1", "a;b=1;"},
        {"a=1&a=2", "a=1;a=2;"},
        {"a=%2B%2b+", "a=++ ;"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        begin();
        ck_assert_int_eq(
            form_read_urlencoded(&fields, table[i].text, strlen(table[i].text), &arena, &why), 0);
        check_fields(table[i].fields);
    }
}
END_TEST

START_TEST(fields_are_found_by_their_whole_name)
{
    static const char text[] = "ab=1&a=2&a=3&%61b=4";

    begin();
    ck_assert_int_eq(form_read_urlencoded(&fields, text, strlen(text), &arena, &why), 0);
    ck_assert_ptr_eq(form_find(&fields, "a"), &fields.items[1]);
    ck_assert_ptr_eq(form_find(&fields, "ab"), &fields.items[0]);
    ck_assert_ptr_null(form_find(&fields, "abc"));
    ck_assert_ptr_null(form_find(&fields, ""));
}
END_TEST

START_TEST(too_many_fields_are_refused)
{
    struct strbuf text = {0};

    begin();
    for (int i = 0; i < FORM_MAX_FIELDS; i++)
        strbuf_adds(&text, "a&");
    ck_assert_int_eq(form_read_urlencoded(&fields, text.data, text.len, &arena, &why), 0);
    ck_assert_uint_eq(fields.count, FORM_MAX_FIELDS);
    begin();
    strbuf_adds(&text, "a");
    ck_assert_int_eq(form_read_urlencoded(&fields, text.data, text.len, &arena, &why), -EINVAL);
    ck_assert_contains(why, "1000");
    strbuf_free(&text);
    begin();
    for (int i = 0; i < FORM_MAX_FIELDS; i++)
        strbuf_adds(&text, "&");
    ck_assert_int_eq(form_read_urlencoded(&fields, text.data, text.len, &arena, &why), 0);
    strbuf_adds(&text, "&");
    ck_assert_int_eq(form_read_urlencoded(&fields, text.data, text.len, &arena, &why), -EINVAL);
    strbuf_free(&text);
}
END_TEST

#define TYPE "multipart/form-data; boundary=XX"
#define PART(name, value) "Content-Disposition: form-data; name=" name "\r\n\r\n" value "\r\n"

START_TEST(multipart_is_taken_apart)
{
    static const struct {
        const char *type, *body, *fields;
    } table[] = {
        {TYPE, "--XX--\r\n", ""},
        {TYPE, "--XX--", ""},
        {TYPE, "--XX\r\n" PART("\"a\"", "1") "--XX--\r\n", "a=1;"},
        {TYPE, "--XX\r\n" PART("a", "1") "--XX--\r\n", "a=1;"},
        {TYPE, "--XX\r\n" PART("a", "1") "--XX\r\n" PART("b", "2") "--XX--\r\n", "a=1;b=2;"},
        {TYPE, "--XX\r\n" PART("a", "") "--XX--", "a=;"},
        {TYPE, "--XX  \t\r\n" PART("a", "1") "--XX--", "a=1;"},
        {TYPE, "preamble\r\n--XX\r\n" PART("a", "1") "--XX--\r\nepilogue --XX\r\n", "a=1;"},
        {TYPE, "--XX\r\n" PART("a", "1\r\n--X\r\n--YXX\r\n\r\n") "--XX--",
         "a=1\\x0d\\x0a--X\\x0d\\x0a--YXX\\x0d\\x0a\\x0d\\x0a;"},
        {TYPE, "--XX\r\n" PART("\"a%22%0D%0a%20\\\"\"", "1") "--XX--", "a\"\\x0d\\x0a%20\"=1;"},
        {TYPE, "--XX\r\n" PART("\"f\"; filename=\"name=x; y\"", "1") "--XX--", "f=1;"},
        {TYPE,
         "--XX\r\nContent-Disposition: form-data; filename=\"; name=x\"; name=\"y\"\r\n\r\n1\r\n"
         "--XX--",
         "y=1;"},
        {TYPE,
         "--XX\r\nX: y\r\ncontent-disposition:form-data;NAME=\"a\"\r\nContent-Type: text/plain"
         "\r\n\r\n1\r\n--XX--",
         "a=1;"},
        {"multipart/form-data; charset=x; boundary=\"X X\"", "--X X\r\n" PART("a", "1") "--X X--",
         "a=1;"},
        {"Multipart/Form-Data;Boundary=XX", "--XX\r\n" PART("a", "1") "--XX--", "a=1;"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        begin();
        ck_assert_msg(form_read_multipart(&fields, table[i].type, table[i].body,
                                          strlen(table[i].body), &arena, &why) == 0,
                      "%zu: %s", i, why);
        check_fields(table[i].fields);
    }
}
END_TEST

START_TEST(broken_multipart_is_refused)
{
    static const struct {
        const char *type, *body, *why;
    } table[] = {
        {"multipart/form-data", "--XX--", "boundary"},
        {"multipart/form-data; boundary=", "----", "boundary"},
        {"multipart/form-data; boundary", "----", "boundary"},
        {"multipart/form-data; boundary="
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         "", "1 to 70"},
        {TYPE, "", "closing delimiter"},
        {TYPE, "--XX", "closing delimiter"},
        {TYPE, "--XX\r\n", "closing delimiter"},
        {TYPE, "--XX\r\n" PART("a", "1"), "closing delimiter"},
        {TYPE, "--XX\r\n" PART("a", "1") "--XX\r\n", "closing delimiter"},
        {TYPE, "--XX\r\n" PART("a", "1") "--XX-", "closing delimiter"},
        {TYPE, "x--XX--", "closing delimiter"},
        {TYPE, "--XX\r\n\r\n\r\n1\r\n--XX--", "no name"},
        {TYPE, "--XX\r\nX: y\r\n\r\n1\r\n--XX--", "no name"},
        {TYPE, "--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XX--", "no name"},
        {TYPE, "--XX\r\nContent-Disposition: form-data; name\r\n\r\n1\r\n--XX--", "no name"},
        {TYPE, "--XX\r\n1\r\n--XX--", "closing delimiter"},
        {TYPE, "--XX\r\n--XX--", "closing delimiter"},
        {TYPE, "--XX\r\n" PART("a", "1\r\n--XXY") "--XX--", "goes on behind its boundary"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        begin();
        ck_assert_msg(form_read_multipart(&fields, table[i].type, table[i].body,
                                          strlen(table[i].body), &arena, &why) == -EINVAL,
                      "%zu", i);
        ck_assert_contains(why, table[i].why);
    }
}
END_TEST

/* Whatever the bytes are, each field comes back as it was put in. */
START_TEST(any_bytes_come_back_out_of_multipart)
{
    struct support_random random = support_random_new("form");

    for (int round = 0; round < 300; round++) {
        struct strbuf body = {0};
        char value[64];
        size_t len = support_random_below(&random, sizeof value);

        begin();
        for (size_t i = 0; i < len; i++)
            value[i] = "\r\n-XY\0"[support_random_below(&random, 6)];
        if (memmem(value, len, "\r\n--XX", 6) || (len >= 4 && !memcmp(value, "--XX", 4)))
            continue;
        strbuf_adds(&body, "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n");
        strbuf_add(&body, value, len);
        strbuf_adds(&body, "\r\n--XX--\r\n");
        ck_assert_int_eq(form_read_multipart(&fields, TYPE, body.data, body.len, &arena, &why), 0);
        ck_assert_uint_eq(fields.count, 1);
        ck_assert_uint_eq(fields.items[0].value.len, len);
        ck_assert_mem_eq(fields.items[0].value.data, value, len);
        strbuf_free(&body);
    }
}
END_TEST

START_TEST(the_head_of_a_part_is_bounded)
{
    struct strbuf body = {0};

    begin();
    strbuf_adds(&body, "--XX\r\nX: ");
    for (int i = 0; i < MULTIPART_MAX_HEAD; i++)
        strbuf_addc(&body, 'x');
    strbuf_adds(&body, "\r\n" PART("a", "1") "--XX--");
    ck_assert_int_eq(form_read_multipart(&fields, TYPE, body.data, body.len, &arena, &why),
                     -EINVAL);
    ck_assert_contains(why, "8192");
    strbuf_free(&body);
}
END_TEST

START_TEST(media_types_are_compared_without_parameters)
{
    ck_assert(form_is_media_type("text/plain", "text/plain"));
    ck_assert(form_is_media_type("Text/Plain;charset=x", "text/plain"));
    ck_assert(form_is_media_type("text/plain ; charset=x", "text/plain"));
    ck_assert(!form_is_media_type("text/plainer", "text/plain"));
    ck_assert(!form_is_media_type("text/plai", "text/plain"));
    ck_assert(!form_is_media_type("", "text/plain"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        queries_are_taken_apart,       fields_are_found_by_their_whole_name,
        too_many_fields_are_refused,   multipart_is_taken_apart,
        broken_multipart_is_refused,   any_bytes_come_back_out_of_multipart,
        the_head_of_a_part_is_bounded, media_types_are_compared_without_parameters,
    };
    int status = support_run("form", tests, COUNT_OF(tests));

    arena_clear(&arena);
    return status;
}
