/* SPDX-License-Identifier: ISC */
/* What a web server answers; see http.h. */
#include "policyd/http.h"

#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"

void
http_init(struct http *h, int posted)
{
	memset(h, 0, offsetof(struct http, body));
	h->posted = posted;
	h->why = "";
}

static int
bad(struct http *h, const char *why)
{
	h->state = HTTP_BAD;
	h->why = why;
	return -1;
}

static int
status_line(struct http *h)
{
	const char *p = h->line;

	if (strncmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') ||
	    p[8] != ' ' || strspn(p + 9, "0123456789") != 3 ||
	    (p[12] != ' ' && p[12] != '\0'))
		return bad(h, "this is not HTTP");
	h->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + p[11] - '0';
	h->state = HTTP_HEADER;
	if (h->posted && h->status / 100 != 1) {
		if (h->status / 100 != 2)
			return bad(h, "the web server does not take it");
		h->state = HTTP_DONE;
		return 0;
	}
	if (h->status / 100 == 1 || h->status == 200)
		return 0;
	return bad(h, h->status == 404 ? "the web server has no policy (404)"
		      : h->status / 100 == 3
			  ? "the web server points elsewhere, which is not allowed"
			  : "the web server does not give it");
}

static int
end_of_header(struct http *h)
{
	if (h->status / 100 == 1) {
		h->state = HTTP_STATUS;
		return 0;
	}
	if (!h->plain)
		return bad(h, "the document is not text/plain");
	if (h->chunked)
		h->state = HTTP_CHUNK_SIZE;
	else if (h->has_length) {
		if (h->left > HTTP_BODY_MAX)
			return bad(h, "the document is too large");
		h->state = h->left > 0 ? HTTP_BODY : HTTP_DONE;
	} else
		h->state = HTTP_UNTIL_CLOSE;
	return 0;
}

static int
field(struct http *h)
{
	char *colon = strchr(h->line, ':'), *v;
	const char *error;

	if (colon == NULL || colon == h->line)
		return bad(h, "malformed header");
	*colon = '\0';
	for (v = colon + 1; *v == ' ' || *v == '\t';)
		v++;
	if (strcasecmp(h->line, "content-type") == 0)
		h->plain = strncasecmp(v, "text/plain", 10) == 0 &&
			   strchr("; \t", v[10]) != NULL;
	else if (strcasecmp(h->line, "transfer-encoding") == 0) {
		if (strcasecmp(v, "chunked") != 0)
			return bad(h, "unknown transfer encoding");
		h->chunked = 1;
	} else if (strcasecmp(h->line, "content-encoding") == 0) {
		if (strcasecmp(v, "identity") != 0)
			return bad(h, "unknown content encoding");
	} else if (strcasecmp(h->line, "content-length") == 0) {
		size_t n = strspn(v, "0123456789");

		if (n == 0 || v[n + strspn(v + n, " \t")] != '\0')
			return bad(h, "malformed length");
		v[n] = '\0';
		h->left = (uint64_t)strtonum(v, 0, INT64_MAX, &error);
		if (error != NULL)
			return bad(h, "the document is too large");
		h->has_length = 1;
	}
	return 0;
}

static int
chunk_size(struct http *h)
{
	size_t n = strspn(h->line, "0123456789abcdefABCDEF");

	if (n == 0 || n > 6 || strchr("; \t", h->line[n]) == NULL)
		return bad(h, "malformed chunk");
	h->left = strtoul(h->line, NULL, 16);
	h->state = h->left > 0 ? HTTP_CHUNK : HTTP_TRAILER;
	return 0;
}

static int
got_line(struct http *h)
{
	switch (h->state) {
	case HTTP_STATUS:
		return status_line(h);
	case HTTP_HEADER:
		return h->line[0] == '\0' ? end_of_header(h) : field(h);
	case HTTP_CHUNK_SIZE:
		return chunk_size(h);
	case HTTP_CHUNK_END:
		if (h->line[0] != '\0')
			return bad(h, "malformed chunk");
		h->state = HTTP_CHUNK_SIZE;
		return 0;
	default: /* HTTP_TRAILER */
		if (h->line[0] == '\0')
			h->state = HTTP_DONE;
		return 0;
	}
}

static int
take_line(struct http *h, const uint8_t *p, size_t len, size_t *used)
{
	const uint8_t *nl = memchr(p, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl - p) : len;

	*used = nl != NULL ? n + 1 : n;
	h->head += *used;
	if (h->line_len + n > HTTP_LINE_MAX || h->head > HTTP_HEAD_MAX)
		return bad(h, "header too long");
	memcpy(h->line + h->line_len, p, n);
	h->line_len += n;
	if (nl == NULL)
		return 0;
	if (h->line_len > 0 && h->line[h->line_len - 1] == '\r')
		h->line_len--;
	h->line[h->line_len] = '\0';
	if (memchr(h->line, '\0', h->line_len) != NULL)
		return bad(h, "malformed header");
	h->line_len = 0;
	return got_line(h);
}

static int
take_body(struct http *h, const uint8_t *p, size_t len, size_t *used)
{
	size_t n = len;

	if (h->state != HTTP_UNTIL_CLOSE && n > h->left)
		n = (size_t)h->left;
	*used = n;
	if (n > HTTP_BODY_MAX - h->body_len)
		return bad(h, "the document is too large");
	memcpy(h->body + h->body_len, p, n);
	h->body_len += n;
	if (h->state == HTTP_UNTIL_CLOSE)
		return 0;
	h->left -= n;
	if (h->left == 0)
		h->state = h->state == HTTP_CHUNK ? HTTP_CHUNK_END : HTTP_DONE;
	return 0;
}

int
http_push(struct http *h, const uint8_t *p, size_t len)
{
	size_t used;

	while (len > 0 && h->state != HTTP_DONE && h->state != HTTP_BAD) {
		int rc = h->state == HTTP_BODY || h->state == HTTP_UNTIL_CLOSE ||
				 h->state == HTTP_CHUNK
			     ? take_body(h, p, len, &used)
			     : take_line(h, p, len, &used);

		if (rc == -1)
			return -1;
		p += used;
		len -= used;
	}
	return h->state == HTTP_DONE ? 1 : h->state == HTTP_BAD ? -1 : 0;
}

int
http_eof(struct http *h)
{
	if (h->state == HTTP_UNTIL_CLOSE)
		h->state = HTTP_DONE;
	if (h->state == HTTP_DONE)
		return 1;
	return h->state == HTTP_BAD ? -1 : bad(h, "the answer is cut off");
}
