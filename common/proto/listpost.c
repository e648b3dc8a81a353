/* SPDX-License-Identifier: ISC */
/* What differs in a list's post from member to member; see listpost.h. */
#include "common/proto/listpost.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

static void
mac(const uint8_t *key, size_t key_len, const char *text, uint8_t out[32])
{
	unsigned int n = 0;

	/* It fails without memory only; then nothing must agree with it. */
	if (HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text),
		out, &n) == NULL)
		arc4random_buf(out, 32);
}

int
listpost_parse(const char *text, struct listpost *p)
{
	char hex[LISTPOST_KEY * 2 + 1], letter;
	const char *at;
	int used = 0;

	memset(p, 0, sizeof(*p));
	if (sscanf(text, "%320s %32s %c%n", p->list, hex, &letter, &used) != 3 ||
	    used == 0 || strlen(hex) != sizeof(hex) - 1 ||
	    hex_decode(hex, strlen(hex), p->key, sizeof(p->key)) != LISTPOST_KEY ||
	    (at = strchr(base32, letter)) == NULL || strrchr(p->list, '@') == NULL)
		return -1;
	p->period = (uint8_t)(at - base32);
	text += used;
	if (*text == '\0')
		return 0;
	return *text == ' ' && strlcpy(p->uri, text + 1, sizeof(p->uri)) < sizeof(p->uri)
		   ? 0
		   : -1;
}

int
listpost_format(const struct listpost *p, char *out, size_t cap)
{
	char hex[LISTPOST_KEY * 2 + 1];
	int n;

	if (strchr(p->list, ' ') != NULL ||
	    hex_encode(p->key, sizeof(p->key), hex, sizeof(hex)) == -1)
		return -1;
	n = snprintf(out, cap, "%s %s %c%s%s", p->list, hex,
	    base32[p->period % LISTPOST_PERIODS], p->uri[0] != '\0' ? " " : "", p->uri);
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

void
listpost_key(
    const uint8_t secret[32], const char *list, int64_t period, uint8_t key[LISTPOST_KEY])
{
	char text[ADDRESS_MAX + 40];
	uint8_t full[32];

	snprintf(text, sizeof(text), "list %lld %s", (long long)period, list);
	mac(secret, 32, text, full);
	memcpy(key, full, LISTPOST_KEY);
	explicit_bzero(full, sizeof(full));
}

void
listpost_token(const struct listpost *p, enum listpost_purpose purpose,
    const char *member, char token[LISTPOST_TOKEN_LEN + 1])
{
	char text[ADDRESS_MAX + 4];
	uint8_t full[32];

	snprintf(text, sizeof(text), "%c %s", (char)purpose, member);
	mac(p->key, sizeof(p->key), text, full);
	token[0] = base32[p->period % LISTPOST_PERIODS];
	for (int i = 1; i < LISTPOST_TOKEN_LEN; i++)
		token[i] = base32[full[i] & 31];
	token[LISTPOST_TOKEN_LEN] = '\0';
}

int
listpost_check(const uint8_t secret[32], int64_t now, int back, const char *list,
    enum listpost_purpose purpose, const char *member, const char *token)
{
	struct listpost p = { 0 };
	char right[LISTPOST_TOKEN_LEN + 1];
	int64_t period = now / LISTPOST_PERIOD_S;
	int differ = 0;

	if (strlen(token) != LISTPOST_TOKEN_LEN)
		return 0;
	for (; back >= 0; back--, period--)
		if (base32[period % LISTPOST_PERIODS] ==
		    ascii_lower((unsigned char)token[0]))
			break;
	if (back < 0)
		return 0;
	p.period = (uint8_t)(period % LISTPOST_PERIODS);
	listpost_key(secret, list, period, p.key);
	listpost_token(&p, purpose, member, right);
	for (int i = 0; i < LISTPOST_TOKEN_LEN; i++)
		differ |= right[i] ^ ascii_lower((unsigned char)token[i]);
	explicit_bzero(&p, sizeof(p));
	return differ == 0;
}

static int
list_split(const char *list, struct address *a)
{
	const char *at = strrchr(list, '@');

	if (at == NULL || (size_t)(at - list) >= sizeof(a->local) ||
	    strlcpy(a->domain, at + 1, sizeof(a->domain)) >= sizeof(a->domain))
		return -1;
	memcpy(a->local, list, (size_t)(at - list));
	a->local[at - list] = '\0';
	return 0;
}

int
listpost_plain(const char *list, const char *what, char *out, size_t cap)
{
	struct address a;

	if (list_split(list, &a) == -1 ||
	    (what[0] != '\0' &&
		strlcat(a.local, "-", sizeof(a.local)) >= sizeof(a.local)) ||
	    strlcat(a.local, what, sizeof(a.local)) >= sizeof(a.local))
		return -1;
	return address_format(&a, out, cap) == -1 ? -1 : 0;
}

int
listpost_address(const char *list, const char *what, const char *member,
    const char *token, char *out, size_t cap)
{
	const char *at = strrchr(member, '@');
	struct address a;
	size_t len;
	int n;

	if (at == NULL || list_split(list, &a) == -1)
		return -1;
	len = strlen(a.local);
	n = snprintf(a.local + len, sizeof(a.local) - len, "-%s+%.*s=%s=%s", what,
	    (int)(at - member), member, at + 1, token);
	if (n < 0 || (size_t)n >= sizeof(a.local) - len)
		return -1;
	return address_format(&a, out, cap) == -1 ? -1 : 0;
}

/* Tokens are of keys, whatever the case of an address is that a message has. */
static int
member_key(const char *member, char *key, size_t cap)
{
	struct address a;

	if (address_parse(member, strlen(member), &a) == -1)
		return strlcpy(key, member, cap) < cap ? 0 : -1;
	return address_fold_key(&a, key, cap) == -1 ? -1 : 0;
}

void
listpost_sender(const struct listpost *p, const char *member, char out[ADDRESS_MAX + 1])
{
	char token[LISTPOST_TOKEN_LEN + 1], key[ADDRESS_MAX + 1];

	if (member_key(member, key, sizeof(key)) == 0) {
		listpost_token(p, LISTPOST_BOUNCE, key, token);
		if (listpost_address(
			p->list, "bounces", key, token, out, ADDRESS_MAX + 1) == 0)
			return;
	}
	if (listpost_plain(p->list, "bounces", out, ADDRESS_MAX + 1) == -1)
		out[0] = '\0';
}

int
listpost_tag(
    const char *tag, char *member, size_t cap, char token[LISTPOST_TOKEN_LEN + 1])
{
	const char *last = strrchr(tag, '='), *middle = last;
	struct address a;

	if (last == NULL || last == tag)
		return -1;
	while (--middle > tag && *middle != '=')
		;
	if (middle <= tag || (size_t)(middle - tag) >= sizeof(a.local) ||
	    (size_t)(last - middle - 1) >= sizeof(a.domain) ||
	    strlcpy(token, last + 1, LISTPOST_TOKEN_LEN + 1) != LISTPOST_TOKEN_LEN)
		return -1;
	memcpy(a.local, tag, (size_t)(middle - tag));
	a.local[middle - tag] = '\0';
	memcpy(a.domain, middle + 1, (size_t)(last - middle - 1));
	a.domain[last - middle - 1] = '\0';
	return address_fold_key(&a, member, cap) == -1 ? -1 : 0;
}

int
listpost_uri_token(
    const char *list, const char *member, const char *token, char *out, size_t cap)
{
	char text[2 * ADDRESS_MAX + 40];
	int n = snprintf(text, sizeof(text), "%s %s %s", list, member, token);

	if (n < 0 || (size_t)n >= sizeof(text) ||
	    base64_encode(text, (size_t)n, out, cap) == -1)
		return -1;
	/* RFC 4648, 5 */
	for (char *p = out; *p != '\0'; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	while ((n = (int)strlen(out)) > 0 && out[n - 1] == '=')
		out[n - 1] = '\0';
	return 0;
}

int
listpost_uri_parse(const char *text, char list[ADDRESS_MAX + 1],
    char member[ADDRESS_MAX + 1], char token[LISTPOST_TOKEN_LEN + 1])
{
	char in[1024], plain[2 * ADDRESS_MAX + 40], *p = plain, *word;
	size_t len = strlcpy(in, text, sizeof(in));
	int n;

	if (len == 0 || len > sizeof(in) - 4)
		return -1;
	for (char *q = in; *q != '\0'; q++)
		*q = *q == '-' ? '+' : *q == '_' ? '/' : *q;
	while (len % 4 != 0)
		in[len++] = '=';
	in[len] = '\0';
	n = base64_decode(in, len, plain, sizeof(plain) - 1);
	if (n <= 0 || memchr(plain, '\0', (size_t)n) != NULL)
		return -1;
	plain[n] = '\0';
	word = strsep(&p, " ");
	if (p == NULL || strlcpy(list, word, ADDRESS_MAX + 1) > ADDRESS_MAX)
		return -1;
	word = strsep(&p, " ");
	if (p == NULL || strlcpy(member, word, ADDRESS_MAX + 1) > ADDRESS_MAX)
		return -1;
	return strlcpy(token, p, LISTPOST_TOKEN_LEN + 1) == LISTPOST_TOKEN_LEN ? 0 : -1;
}

int
listpost_mailto(const char *address, char *out, size_t cap)
{
	static const char plain[] = "!$'*+-._~=@";
	size_t n = strlcpy(out, "mailto:", cap);

	for (; *address != '\0'; address++) {
		unsigned char c = (unsigned char)*address;
		int is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			       (c >= 'A' && c <= 'Z') || strchr(plain, c) != NULL;

		if (n + 4 > cap)
			return -1;
		if (is_plain)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, cap - n, "%%%02X", c);
	}
	out[n] = '\0';
	return 0;
}

size_t
listpost_fields(const struct listpost *p, const char *member, char *out, size_t cap)
{
	static const char place[] = "{token}";
	char token[LISTPOST_TOKEN_LEN + 1], leave[ADDRESS_MAX + 1], code[1024] = "";
	char key[ADDRESS_MAX + 1], uri[3 * ADDRESS_MAX + 10];
	const char *at = strstr(p->uri, place);
	int n;

	if (member_key(member, key, sizeof(key)) == -1)
		return 0;
	listpost_token(p, LISTPOST_UNSUBSCRIBE, key, token);
	if (listpost_address(p->list, "leave", key, token, leave, sizeof(leave)) == -1 &&
	    listpost_plain(p->list, "leave", leave, sizeof(leave)) == -1)
		return 0;
	if (listpost_mailto(leave, uri, sizeof(uri)) == -1)
		return 0;
	if (at == NULL ||
	    listpost_uri_token(p->list, key, token, code, sizeof(code)) == -1)
		n = snprintf(out, cap, "List-Unsubscribe: <%s>\r\n", uri);
	else
		n = snprintf(out, cap,
		    "List-Unsubscribe: <%s>,\r\n\t<%.*s%s%s>\r\n"
		    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
		    uri, (int)(at - p->uri), p->uri, code, at + sizeof(place) - 1);
	return n < 0 || (size_t)n >= cap ? 0 : (size_t)n;
}

int
listpost_is_hard(const char *status)
{
	static const char *const soft[] = { "5.7.", "5.6.", "5.2.2", "5.2.3", "5.3.4",
		"5.4.6", NULL };

	for (const char *const *p = soft; *p != NULL; p++)
		if (strncmp(status, *p, strlen(*p)) == 0)
			return 0;
	return status[0] == '5';
}
