/* SPDX-License-Identifier: ISC */
/* The PROXY protocol: each header whole, with something behind it, and octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/proxy.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\x00\x02\x01\xc6\x33\x64\x02\x9c\x40\x00\x19"
#define V6                                           \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x9c\x40\x00\x19"
#define R(s) s, sizeof(s) - 1

static const struct {
	const char *in;
	size_t len;
	int result;         /* of the whole */
	const char *client; /* NULL: the proxy itself */
} rows[] = {
	{ R("PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\n"), 1, "192.0.2.1 40000" },
	{ R("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), 1, "2001:db8::1 0" },
	{ R("PROXY UNKNOWN\r\n"), 1, NULL },
	{ R("PROXY UNKNOWN ffff:f... what ever\r\n"), 1, NULL },
	{ R(SIG "\x21\x11\x00\x0c" V4), 1, "192.0.2.1 40000" },
	{ R(SIG "\x21\x21\x00\x24" V6), 1, "2001:db8::1 40000" },
	{ R(SIG "\x21\x11\x00\x10" V4 "\x04\x00\x01x"), 1, "192.0.2.1 40000" },
	{ R(SIG "\x20\x00\x00\x00"), 1, NULL },
	{ R(SIG "\x20\x11\x00\x0c" V4), 1, NULL },
	{ R(SIG "\x21\x00\x00\x00"), 1, NULL },
	{ R(SIG "\x21\x31\x00\x02xx"), 1, NULL },
	{ R("PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n"), -1, NULL },
	{ R("PROXY TCP4 192.0.2.1 198.51.100.2 40000 25 x\r\n"), -1, NULL },
	{ R("PROXY TCP4  192.0.2.1 198.51.100.2 40000 25\r\n"), -1, NULL },
	{ R("PROXY TCP4 2001:db8::1 198.51.100.2 40000 25\r\n"), -1, NULL },
	{ R("PROXY TCP4 192.0.2.1 198.51.100.2 40000 65536\r\n"), -1, NULL },
	{ R("PROXY TCP4 192.0.2.1 198.51.100.2 040 25\r\n"), -1, NULL },
	{ R("PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n"), -1, NULL },
	{ R("PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\n"), -1, NULL },
	{ R("PROXY TCP5 192.0.2.1 198.51.100.2 40000 25\r\n"), -1, NULL },
	{ R("PROXY UNKNOWNS\r\n"), -1, NULL },
	{ R("PROXY UNKNOWN\0\r\n"), -1, NULL },
	{ R("proxy UNKNOWN\r\n"), -1, NULL },
	{ R("EHLO x\r\n"), -1, NULL },
	{ R("\r\n\r\nQUIT"), -1, NULL },
	{ R(SIG "\x31\x11\x00\x0c" V4), -1, NULL },
	{ R(SIG "\x22\x11\x00\x0c" V4), -1, NULL },
	{ R(SIG "\x21\x11\x00\x0b" V4), -1, NULL },
	{ R(SIG "\x21\x21\x00\x0c" V4), -1, NULL },
	{ R(SIG "\x21\x11\xff\xff" V4), -1, NULL },
};

static void
check_client(const struct proxy *p, const char *want, size_t row)
{
	const struct sockaddr_in *in = (const void *)&p->client;
	const struct sockaddr_in6 *in6 = (const void *)&p->client;
	char ip[INET6_ADDRSTRLEN], got[80];
	int v4 = p->client.ss_family == AF_INET;

	if (want == NULL) {
		assert_int_equal(p->client.ss_family, AF_UNSPEC);
		return;
	}
	inet_ntop(p->client.ss_family, v4 ? (const void *)&in->sin_addr : &in6->sin6_addr,
	    ip, sizeof(ip));
	snprintf(
	    got, sizeof(got), "%s %u", ip, ntohs(v4 ? in->sin_port : in6->sin6_port));
	if (strcmp(got, want) != 0)
		fail_msg("row %zu: %s", row, got);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct proxy p;
		size_t used = 0;
		uint8_t buf[200];
		int r = 0;

		memcpy(buf, rows[i].in, rows[i].len);
		memcpy(buf + rows[i].len, "EHLO x\r\n", 8);
		r = proxy_parse(buf, rows[i].len + 8, &p, &used);
		if (r != rows[i].result)
			fail_msg("row %zu: %d", i, r);
		if (r == 1) {
			assert_int_equal(used, rows[i].len);
			check_client(&p, rows[i].client, i);
		}
		for (size_t n = 0; n <= rows[i].len; n++) {
			/* Exactly so long, that reading on is seen. */
			uint8_t *cut = malloc(n + 1);

			memcpy(cut, rows[i].in, n);
			r = proxy_parse(cut, n, &p, &used);
			free(cut);
			if (rows[i].result == 1 && r != (n == rows[i].len))
				fail_msg("row %zu at %zu: %d", i, n, r);
			if (r == -1)
				break;
		}
		assert_int_equal(r, rows[i].result);
	}
}

/* Version 1 has 107 octets at most. */
static void
test_length(void **state)
{
	char buf[200] = "PROXY UNKNOWN ";
	struct proxy p;
	size_t used;

	(void)state;
	memset(buf + 14, 'x', sizeof(buf) - 14);
	assert_int_equal(proxy_parse((uint8_t *)buf, 106, &p, &used), 0);
	assert_int_equal(proxy_parse((uint8_t *)buf, 107, &p, &used), -1);
	memcpy(buf + 105, "\r\n", 2);
	assert_int_equal(proxy_parse((uint8_t *)buf, 150, &p, &used), 1);
	assert_int_equal(used, 107);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
