/* SPDX-License-Identifier: ISC */
/* What differs in a list's post from member to member: listpost.h and listconf.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/listconf.h"
#include "common/proto/listpost.h"

static const uint8_t secret[32] = "thirty-two octets of a secret..", other[32] = "x";
#define NOW ((int64_t)1800000000)
#define LIST "talk@example.org"

static struct listpost
made(const char *uri)
{
	struct listpost p = { .period =
				  (uint8_t)(NOW / LISTPOST_PERIOD_S % LISTPOST_PERIODS) };

	strlcpy(p.list, LIST, sizeof(p.list));
	strlcpy(p.uri, uri, sizeof(p.uri));
	listpost_key(secret, LIST, NOW / LISTPOST_PERIOD_S, p.key);
	return p;
}

static void
test_text(void **state)
{
	static const char *const uris[] = { "", "https://x.test/{token}" };
	char text[LISTPOST_TEXT_MAX + 1], short_text[20];

	for (size_t i = 0; i < 2; i++) {
		struct listpost p = made(uris[i]), q;

		assert_int_equal(listpost_format(&p, text, sizeof(text)), 0);
		assert_int_equal(listpost_parse(text, &q), 0);
		assert_string_equal(q.list, LIST);
		assert_string_equal(q.uri, uris[i]);
		assert_memory_equal(q.key, p.key, sizeof(p.key));
		assert_int_equal(q.period, p.period);
		assert_int_equal(listpost_format(&p, short_text, sizeof(short_text)), -1);
		/* Cut anywhere it is not the same. */
		for (size_t n = 0; n < strlen(LIST) + 35; n++) {
			char cut[LISTPOST_TEXT_MAX + 1];

			strlcpy(cut, text, n + 1);
			assert_int_equal(listpost_parse(cut, &q), -1);
		}
	}
}

static void
test_tokens(void **state)
{
	struct listpost p = made("");
	char token[LISTPOST_TOKEN_LEN + 1], upper[LISTPOST_TOKEN_LEN + 1];

	listpost_token(&p, LISTPOST_BOUNCE, "bob@example.net", token);
	assert_int_equal(strlen(token), LISTPOST_TOKEN_LEN);
	assert_true(listpost_check(
	    secret, NOW, 0, LIST, LISTPOST_BOUNCE, "bob@example.net", token));
	for (int i = 0; i <= LISTPOST_TOKEN_LEN; i++)
		upper[i] =
		    token[i] >= 'a' && token[i] <= 'z' ? (char)(token[i] - 32) : token[i];
	assert_true(listpost_check(
	    secret, NOW, 0, LIST, LISTPOST_BOUNCE, "bob@example.net", upper));
	/* Another member, list, purpose, secret. */
	assert_false(listpost_check(
	    secret, NOW, 0, LIST, LISTPOST_BOUNCE, "eve@example.net", token));
	assert_false(listpost_check(
	    secret, NOW, 0, "x@example.org", LISTPOST_BOUNCE, "bob@example.net", token));
	assert_false(listpost_check(
	    secret, NOW, 0, LIST, LISTPOST_UNSUBSCRIBE, "bob@example.net", token));
	assert_false(listpost_check(
	    other, NOW, 0, LIST, LISTPOST_BOUNCE, "bob@example.net", token));
	/* Later. */
	assert_false(listpost_check(secret, NOW + LISTPOST_PERIOD_S, 0, LIST,
	    LISTPOST_BOUNCE, "bob@example.net", token));
	assert_true(listpost_check(secret, NOW + LISTPOST_PERIOD_S, 1, LIST,
	    LISTPOST_BOUNCE, "bob@example.net", token));
	assert_false(listpost_check(secret, NOW + 2 * LISTPOST_PERIOD_S, 1, LIST,
	    LISTPOST_BOUNCE, "bob@example.net", token));
	/* The same letter again, with another key. */
	assert_false(
	    listpost_check(secret, NOW + (int64_t)LISTPOST_PERIODS * LISTPOST_PERIOD_S, 1,
		LIST, LISTPOST_BOUNCE, "bob@example.net", token));
	for (int i = 0; i < LISTPOST_TOKEN_LEN; i++) {
		char wrong[LISTPOST_TOKEN_LEN + 1];

		strlcpy(wrong, token, sizeof(wrong));
		wrong[i] = wrong[i] == 'a' ? 'b' : 'a';
		assert_false(listpost_check(
		    secret, NOW, 3, LIST, LISTPOST_BOUNCE, "bob@example.net", wrong));
	}
}

static void
test_reverse_path(void **state)
{
	static const struct {
		const char *member, *key, *starts;
	} rows[] = {
		{ "bob@example.net", "bob@example.net", "talk-bounces+bob=example.net=" },
		{ "Bob@EXAMPLE.net", "bob@example.net", "talk-bounces+bob=example.net=" },
		{ "a=b+c@example.net", "a=b+c@example.net",
		    "talk-bounces+a=b+c=example.net=" },
		{ "\"a b\"@example.net", "a b@example.net",
		    "\"talk-bounces+a b=example.net=" },
	};
	struct listpost p = made("");
	char out[ADDRESS_MAX + 1], member[ADDRESS_MAX + 1], longest[300];
	char token[LISTPOST_TOKEN_LEN + 1], tag[ADDRESS_MAX + 1];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address a;

		listpost_sender(&p, rows[i].member, out);
		assert_int_equal(strncmp(out, rows[i].starts, strlen(rows[i].starts)), 0);
		assert_int_equal(address_parse(out, strlen(out), &a), 0);
		strlcpy(tag, strchr(a.local, '+') + 1, sizeof(tag));
		assert_int_equal(listpost_tag(tag, member, sizeof(member), token), 0);
		assert_string_equal(member, rows[i].key);
		assert_true(
		    listpost_check(secret, NOW, 0, LIST, LISTPOST_BOUNCE, member, token));
	}
	/* What does not fit goes without. */
	memset(longest, 'x', sizeof(longest));
	strlcpy(longest + 110, "@example.net", sizeof(longest) - 110);
	listpost_sender(&p, longest, out);
	assert_string_equal(out, "talk-bounces@example.org");
	assert_int_equal(listpost_tag("bob", member, sizeof(member), token), -1);
	assert_int_equal(listpost_tag("=", member, sizeof(member), token), -1);
	assert_int_equal(listpost_tag("==", member, sizeof(member), token), -1);
	assert_int_equal(
	    listpost_tag("=x.test=aaaaaaaaaaaaa", member, sizeof(member), token), -1);
	assert_int_equal(
	    listpost_tag("bob=x.test=short", member, sizeof(member), token), -1);
}

static void
test_fields(void **state)
{
	struct listpost p = made("https://x.test/u?t={token}&x");
	char out[LISTPOST_FIELDS_MAX], code[1024], list[ADDRESS_MAX + 1];
	char member[ADDRESS_MAX + 1], token[LISTPOST_TOKEN_LEN + 1], *at, *end;
	size_t n = listpost_fields(&p, "Bob@example.net", out, sizeof(out));

	assert_int_equal(n, strlen(out));
	assert_int_equal(
	    strncmp(out, "List-Unsubscribe: <mailto:talk-leave+bob=example.net=", 53), 0);
	assert_non_null(
	    strstr(out, "&x>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
	at = strstr(out, "?t=") + 3;
	end = strchr(at, '&');
	snprintf(code, sizeof(code), "%.*s", (int)(end - at), at);
	assert_int_equal(listpost_uri_parse(code, list, member, token), 0);
	assert_string_equal(list, LIST);
	assert_string_equal(member, "bob@example.net");
	assert_true(
	    listpost_check(secret, NOW, 0, LIST, LISTPOST_UNSUBSCRIBE, member, token));
	assert_int_equal(listpost_fields(&p, "bob@example.net", out, 60), 0);
	p = made("");
	assert_true(listpost_fields(&p, "bob@example.net", out, sizeof(out)) > 0);
	assert_null(strstr(out, "Post"));
	assert_int_equal(listpost_uri_parse("", list, member, token), -1);
	assert_int_equal(listpost_uri_parse("!!!", list, member, token), -1);
	assert_int_equal(listpost_uri_parse("YQ", list, member, token), -1);
	assert_int_equal(listpost_mailto("a%b?c&d\"@x.test", out, sizeof(out)), 0);
	assert_string_equal(out, "mailto:a%25b%3Fc%26d%22@x.test");
}

static void
test_hard(void **state)
{
	assert_true(listpost_is_hard("5.1.1"));
	assert_true(listpost_is_hard("5.0.0"));
	assert_false(listpost_is_hard("4.4.7"));
	assert_false(listpost_is_hard("5.7.1"));
	assert_false(listpost_is_hard("5.2.2"));
	assert_false(listpost_is_hard(""));
}

static void
test_settings(void **state)
{
	static const char *const good[] = { "title=Talk of the town 100%", "post=listed",
		"others=reject", "moderated=yes", "join=closed", "subject-tag=[t]",
		"max-size=500k", "from-rewrite=never", "reply-to=list",
		"archive=https://a.test/x", "unsubscribe-uri=https://a.test/{token}",
		"bounce-limit=7", "bounce-window=30" };
	static const char *const bad[] = { "", "title", "post=", "post=x", "max-size=0",
		"max-size=10q", "max-size=-1", "bounce-limit=0", "bounce-window=1000",
		"archive=http://a.test/", "archive=https://", "archive=https://a b",
		"unsubscribe-uri=https://a.test/", "title=a\nb", "x=y",
		"subject-tag=01234567890123456789012345678901234567890123456789"
		"01234567890" };
	char text[LISTCONF_TEXT_MAX + 1], again[LISTCONF_TEXT_MAX + 1], small[40];
	struct listconf l, m;

	listconf_init(&l);
	l.created = 12345;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(listconf_set(&l, good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(listconf_set(&l, bad[i]));
	assert_int_equal(listconf_format(&l, text, sizeof(text)), 0);
	assert_int_equal(listconf_format(&l, small, sizeof(small)), -1);
	assert_int_equal(listconf_parse(text, &m), 0);
	assert_int_equal(listconf_format(&m, again, sizeof(again)), 0);
	assert_string_equal(text, again);
	assert_string_equal(m.title, "Talk of the town 100%");
	assert_int_equal(m.max_size, 500 * 1024);
	assert_int_equal(m.created, 12345);
	assert_int_equal(m.post, LIST_POST_LISTED);
	assert_int_equal(listconf_parse("post=members nonsense", &m), -1);
	assert_int_equal(listconf_parse("title=%4", &m), -1);
	assert_int_equal(listconf_parse("", &m), 0);
	assert_int_equal(m.bounce_limit, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_reverse_path),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_hard),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
