/* SPDX-License-Identifier: ISC */
/* Lists in the DNS; see dnsbl.h. */
#include "smtpd/dnsbl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/dnsrr.h"

int
dnsbl_name(const uint8_t *ip, size_t ip_len, const char *zone, char *out, size_t cap)
{
	static const char *const suffix[] = { ".in-addr.arpa", ".ip6.arpa" };
	char reverse[256];
	size_t strip = strlen(suffix[ip_len == 16]);
	int n = dnsrr_reverse_name(
	    ip_len == 4 ? AF_INET : AF_INET6, ip, reverse, sizeof(reverse));

	if (n < (int)strip)
		return -1;
	n = snprintf(out, cap, "%.*s.%s", n - (int)strip, reverse, zone);
	return n < 0 || (size_t)n >= cap || n > 253 ? -1 : n;
}

/* One word of the answers that count. */
static int
matches(const char *word, size_t len, const uint8_t ip[4])
{
	char text[32], *slash;
	struct in_addr a;
	uint32_t mask = UINT32_MAX, got;
	long bits;

	if (len >= sizeof(text))
		return 0;
	memcpy(text, word, len);
	text[len] = '\0';
	if ((slash = strchr(text, '/')) != NULL) {
		*slash = '\0';
		bits = strtol(slash + 1, NULL, 10);
		if (bits < 1 || bits > 32)
			return 0;
		mask <<= 32 - bits;
	}
	if (inet_pton(AF_INET, text, &a) != 1)
		return 0;
	memcpy(&got, ip, 4);
	return ((ntohl(a.s_addr) ^ ntohl(got)) & mask) == 0;
}

static int
counts(const char *answers, const uint8_t ip[4])
{
	size_t n;

	if (ip[0] != 127)
		return 0;
	if (*answers == '\0')
		return ip[1] != 255 || ip[2] != 255;
	for (; *answers != '\0'; answers += n) {
		answers += strspn(answers, " ");
		n = strcspn(answers, " ");
		if (n > 0 && matches(answers, n, ip))
			return 1;
	}
	return 0;
}

int
dnsbl_is_listed(const char *answers, const uint8_t *records, size_t len)
{
	struct dnsrr rr;
	size_t off = 0;

	while (dnsrr_next(records, len, &off, &rr) == 1)
		if (rr.type == DNSRR_A && rr.len == 4 && counts(answers, rr.data))
			return 1;
	return 0;
}

void
dnsbl_text(const uint8_t *records, size_t len, char *out, size_t cap)
{
	struct dnsrr rr;
	size_t off = 0, n = 0;

	out[0] = '\0';
	while (dnsrr_next(records, len, &off, &rr) == 1) {
		if (rr.type != DNSRR_TXT || rr.len == 0)
			continue;
		for (size_t i = 0; i < rr.len && n + 1 < cap; i++)
			out[n++] =
			    rr.data[i] < ' ' || rr.data[i] > '~' ? '?' : (char)rr.data[i];
		out[n] = '\0';
		return;
	}
}
