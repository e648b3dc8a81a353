/* SPDX-License-Identifier: ISC */
/* The parser of the PROXY protocol; see proxy.h. */
#include "smtpd/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define V1_MAX 107
#define V2_HEAD 16

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static int
set_client(struct proxy *p, int family, const void *ip, uint16_t port)
{
	struct sockaddr_in *in = (void *)&p->client;
	struct sockaddr_in6 *in6 = (void *)&p->client;

	memset(&p->client, 0, sizeof(p->client));
	if (family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, ip, 4);
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, ip, 16);
	}
	return 1;
}

/* A decimal number without zeros in front, up to 65535; -1. */
static int
port_of(const char *s)
{
	int n = 0;

	if (*s == '\0' || strlen(s) > 5 || (*s == '0' && s[1] != '\0'))
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		n = n * 10 + (*s - '0');
	}
	return n > 65535 ? -1 : n;
}

/* "PROXY TCP4 192.0.2.1 198.51.100.2 40000 25", with one space between the words. */
static int
parse_line(char *line, struct proxy *p)
{
	char *word[6], *s = line;
	uint8_t from[16], to[16];
	int family, port;
	size_t n = 0;

	if (strcmp(line, "PROXY UNKNOWN") == 0 ||
	    strncmp(line, "PROXY UNKNOWN ", 14) == 0)
		return 1;
	while (n < 6 && s != NULL) {
		word[n++] = s;
		if ((s = strchr(s, ' ')) != NULL)
			*s++ = '\0';
	}
	if (n != 6 || s != NULL)
		return -1;
	family = strcmp(word[1], "TCP4") == 0   ? AF_INET
		 : strcmp(word[1], "TCP6") == 0 ? AF_INET6
						: AF_UNSPEC;
	if (family == AF_UNSPEC || inet_pton(family, word[2], from) != 1 ||
	    inet_pton(family, word[3], to) != 1 || (port = port_of(word[4])) == -1 ||
	    port_of(word[5]) == -1)
		return -1;
	return set_client(p, family, from, (uint16_t)port);
}

static int
parse_v1(const uint8_t *in, size_t len, struct proxy *p, size_t *used)
{
	static const char word[] = "PROXY ";
	char line[V1_MAX + 1];
	size_t n;

	if (memcmp(in, word, len < sizeof(word) - 1 ? len : sizeof(word) - 1) != 0)
		return -1;
	for (n = 0; n < len && n < V1_MAX; n++)
		if (in[n] == '\n')
			break;
	if (n == len && len < V1_MAX)
		return 0;
	if (n == len || n == V1_MAX || n == 0 || in[n - 1] != '\r')
		return -1;
	memcpy(line, in, n - 1);
	line[n - 1] = '\0';
	*used = n + 1;
	return memchr(line, '\0', n - 1) != NULL || memchr(line, '\r', n - 1) != NULL
		   ? -1
		   : parse_line(line, p);
}

static int
parse_v2(const uint8_t *in, size_t len, struct proxy *p, size_t *used)
{
	size_t body;

	if (len < V2_HEAD)
		return 0;
	body = (size_t)in[14] << 8 | in[15];
	if (in[12] >> 4 != 2 || (in[12] & 15) > 1 || V2_HEAD + body > PROXY_MAX)
		return -1;
	if (len < V2_HEAD + body)
		return 0;
	*used = V2_HEAD + body;
	/* LOCAL: a question about our health. What is no stream over IP has no address.
	 */
	if ((in[12] & 15) == 0)
		return 1;
	if (in[13] == 0x11)
		return body < 12
			   ? -1
			   : set_client(p, AF_INET, in + V2_HEAD,
				 (uint16_t)(in[V2_HEAD + 8] << 8 | in[V2_HEAD + 9]));
	if (in[13] == 0x21)
		return body < 36
			   ? -1
			   : set_client(p, AF_INET6, in + V2_HEAD,
				 (uint16_t)(in[V2_HEAD + 32] << 8 | in[V2_HEAD + 33]));
	return 1;
}

int
proxy_parse(const uint8_t *in, size_t len, struct proxy *p, size_t *used)
{
	size_t n = len < sizeof(signature) ? len : sizeof(signature);

	memset(p, 0, sizeof(*p));
	if (len == 0)
		return 0;
	if (memcmp(in, signature, n) == 0)
		return parse_v2(in, len, p, used);
	return parse_v1(in, len, p, used);
}
