/* SPDX-License-Identifier: ISC */
/* Lists of hosts; see hostlist.h. */
#include "common/proto/hostlist.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

/* "2001:db8:...:1/128" and its NUL. */
#define ENTRY_MAX (INET6_ADDRSTRLEN + 4)

struct prefix {
	size_t len; /* of ip: 4 or 16 */
	unsigned int bits;
	uint8_t ip[16];
};

static int
parse(const char *s, size_t n, struct prefix *p)
{
	char word[ENTRY_MAX], *slash;
	unsigned int max, bits = 0;

	if (n == 0 || n >= sizeof(word) || memchr(s, '\0', n) != NULL)
		return -1;
	memcpy(word, s, n);
	word[n] = '\0';
	if ((slash = strchr(word, '/')) != NULL)
		*slash++ = '\0';
	if (inet_pton(AF_INET, word, p->ip) == 1)
		p->len = 4;
	else if (inet_pton(AF_INET6, word, p->ip) == 1)
		p->len = 16;
	else
		return -1;
	max = (unsigned int)p->len * 8;
	p->bits = max;
	if (slash == NULL)
		return 0;
	if (*slash == '\0' || strlen(slash) > 3 || (*slash == '0' && slash[1] != '\0'))
		return -1;
	for (; *slash != '\0'; slash++) {
		if (*slash < '0' || *slash > '9')
			return -1;
		bits = bits * 10 + (unsigned int)(*slash - '0');
	}
	if (bits > max)
		return -1;
	p->bits = bits;
	return 0;
}

static int
agrees(const struct prefix *p, const uint8_t *ip)
{
	unsigned int whole = p->bits / 8, rest = p->bits % 8;

	if (memcmp(p->ip, ip, whole) != 0)
		return 0;
	return rest == 0 ||
	       ((p->ip[whole] ^ ip[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
}

int
hostlist_is_entry(const char *s)
{
	struct prefix p;

	if (parse(s, strlen(s), &p) == -1)
		return 0;
	for (unsigned int i = p.bits; i < p.len * 8; i++)
		if (p.ip[i / 8] & (0x80 >> i % 8))
			return 0;
	return 1;
}

int
hostlist_has(const char *list, const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const uint8_t *ip;
	size_t len = 4;

	if (sa->sa_family == AF_INET)
		ip = (const uint8_t *)&in->sin_addr;
	else if (sa->sa_family == AF_INET6) {
		ip = in6->sin6_addr.s6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			ip += 12;
		else
			len = 16;
	} else
		return 0;
	while (*(list += strspn(list, " ")) != '\0') {
		size_t n = strcspn(list, " ");
		struct prefix p;

		if (parse(list, n, &p) == 0 && p.len == len && agrees(&p, ip))
			return 1;
		list += n;
	}
	return 0;
}
