/* SPDX-License-Identifier: ISC */
/* From pop3d to the mailbox process, and CAPA; see pop3_hello.h. */
#include "common/pop3/pop3_hello.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "common/compat/compat.h"

void
pop3_hello_print(const struct pop3_hello *h, char out[POP3_HELLO_MAX])
{
	snprintf(out, POP3_HELLO_MAX,
	    "FIFE utf8=%d strict=%d lang=%s delay=%u sasl=%s\r\n", h->utf8,
	    h->utf8_strict, pop3_lang_tag(h->lang), h->login_delay_s, h->sasl);
}

/* The word's value behind name, NUL-terminated in value; *at goes behind it. */
static int
word(const char **at, const char *name, char *value, size_t cap)
{
	size_t n = strlen(name), len;

	if (strncmp(*at, name, n) != 0)
		return -1;
	len = strcspn(*at + n, " ");
	if (len >= cap)
		return -1;
	memcpy(value, *at + n, len);
	value[len] = '\0';
	*at += n + len;
	return 0;
}

int
pop3_hello_parse(const char *line, struct pop3_hello *h)
{
	char utf8[2], strict[2], lang[16], delay[16];
	const char *bad;

	memset(h, 0, sizeof(*h));
	if (word(&line, "FIFE utf8=", utf8, sizeof(utf8)) == -1 ||
	    word(&line, " strict=", strict, sizeof(strict)) == -1 ||
	    word(&line, " lang=", lang, sizeof(lang)) == -1 ||
	    word(&line, " delay=", delay, sizeof(delay)) == -1 ||
	    strncmp(line, " sasl=", 6) != 0 || pop3_lang_find(lang, &h->lang) == -1 ||
	    strlcpy(h->sasl, line + 6, sizeof(h->sasl)) >= sizeof(h->sasl))
		return -1;
	h->utf8 = utf8[0] == '1';
	h->utf8_strict = strict[0] == '1';
	h->login_delay_s = (uint32_t)strtonum(delay, 0, UINT32_MAX, &bad);
	return bad == NULL ? 0 : -1;
}

void
pop3_capa(struct evbuffer *out, const struct pop3_hello *h, bool stls)
{
	pop3_reply(out, h->lang, "+OK", "capabilities");
	evbuffer_add_printf(out,
	    "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
	    "EXPIRE NEVER\r\nUTF8 USER\r\nLANG\r\nIMPLEMENTATION fife\r\n");
	if (h->login_delay_s > 0)
		evbuffer_add_printf(out, "LOGIN-DELAY %u\r\n", h->login_delay_s);
	if (stls)
		evbuffer_add_printf(out, "STLS\r\n");
	if (h->sasl[0] != '\0')
		evbuffer_add_printf(out, "USER\r\nSASL%s\r\n", h->sasl);
	evbuffer_add(out, ".\r\n", 3);
}
