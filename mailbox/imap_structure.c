/* SPDX-License-Identifier: ISC */
/* BODY and BODYSTRUCTURE (RFC 3501, 7.4.2), BODYPARTSTRUCTURE (RFC 5524); the depth is
 * bounded by the MIME parser. */
#include <event2/buffer.h>
#include <string.h>

#include "mailbox/imap.h"
#include "mailbox/imap_fetch.h"

struct printer {
	struct evbuffer *out;
	const char *msg;
	const struct mime_tree *tree;
	bool extended;
	const struct mime_part *decoded; /* this one is, to octets; or NULL */
	const struct imap_octets *octets;
};

static void
sp_nstring(struct printer *p, const char *s)
{
	evbuffer_add(p->out, " ", 1);
	imap_print_nstring(p->out, s);
}

static void
params(struct printer *p, const struct mime_param *v, unsigned int n)
{
	if (n == 0) {
		evbuffer_add(p->out, " NIL", 4);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		evbuffer_add(p->out, i == 0 ? " (" : " ", i == 0 ? 2 : 1);
		imap_print_nstring(p->out, v[i].name == NULL ? "" : v[i].name);
		sp_nstring(p, v[i].value == NULL ? "" : v[i].value);
	}
	evbuffer_add(p->out, ")", 1);
}

/* What both kinds end in: disposition, language, location. */
static void
extension(struct printer *p, const struct mime_part *part)
{
	if (part->disposition == NULL)
		evbuffer_add(p->out, " NIL", 4);
	else {
		evbuffer_add(p->out, " (", 2);
		imap_print_nstring(p->out, part->disposition);
		params(p, part->disposition_params, part->ndisposition_params);
		evbuffer_add(p->out, ")", 1);
	}
	if (part->language == NULL || strchr(part->language, ',') == NULL)
		sp_nstring(p, part->language);
	else {
		const char *s = part->language;

		for (const char *sep = " ("; *s != '\0'; sep = " ") {
			size_t n = strcspn(s, ",");

			evbuffer_add_printf(p->out, "%s", sep);
			imap_print_string(p->out, s, n);
			s += n;
			s += *s == ',';
		}
		evbuffer_add(p->out, ")", 1);
	}
	sp_nstring(p, part->location);
}

static void print(struct printer *, const struct mime_part *);

/* An empty text part, where the grammar must have one. */
static void
nothing(struct printer *p)
{
	evbuffer_add_printf(p->out,
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0");
	evbuffer_add_printf(p->out, p->extended ? " NIL NIL NIL NIL)" : ")");
}

static void
message_within(struct printer *p, const struct mime_part *part)
{
	const struct mime_part *c = part->child < 0 ? NULL : &p->tree->parts[part->child];

	evbuffer_add(p->out, " ", 1);
	if (c == NULL) {
		imap_print_envelope(p->out, "", 0);
		evbuffer_add(p->out, " ", 1);
		nothing(p);
	} else {
		imap_print_envelope(
		    p->out, p->msg + c->header_off, c->body_off - c->header_off);
		evbuffer_add(p->out, " ", 1);
		print(p, c);
	}
	evbuffer_add_printf(p->out, " %u", part->body_lines);
}

/* The transfer encoding that octets need which have none. */
static const char *
identity(const char *s, size_t len)
{
	const char *name = "7bit";

	for (size_t i = 0; i < len; i++)
		if (s[i] == '\0')
			return "binary";
		else if ((unsigned char)s[i] >= 0x80)
			name = "8bit";
	return name;
}

static void
leaf(struct printer *p, const struct mime_part *part)
{
	bool message = strcmp(part->type, "message") == 0 &&
		       (strcmp(part->subtype, "rfc822") == 0 ||
			   strcmp(part->subtype, "global") == 0);

	imap_print_nstring(p->out, part->type);
	sp_nstring(p, part->subtype);
	if (part->has_type || strcmp(part->type, "text") != 0)
		params(p, part->params, part->nparams);
	else /* RFC 2045, 5.2 */
		evbuffer_add_printf(p->out, " (\"charset\" \"us-ascii\")");
	sp_nstring(p, part->id);
	sp_nstring(p, part->description);
	if (part == p->decoded) {
		sp_nstring(p, identity(p->octets->data, p->octets->len));
		evbuffer_add_printf(p->out, " %zu", p->octets->whole);
	} else {
		sp_nstring(p, part->encoding == NULL ? "7bit" : part->encoding);
		evbuffer_add_printf(p->out, " %zu", part->body_end - part->body_off);
	}
	if (message)
		message_within(p, part);
	else if (strcmp(part->type, "text") == 0) /* decoded, it need not be lines */
		evbuffer_add_printf(
		    p->out, " %u", part == p->decoded ? 0 : part->body_lines);
	if (p->extended) {
		sp_nstring(p, part->md5);
		extension(p, part);
	}
}

static void
print(struct printer *p, const struct mime_part *part)
{
	evbuffer_add(p->out, "(", 1);
	if (part->kind == MIME_MULTIPART) {
		if (part->child < 0)
			nothing(p);
		for (int i = part->child; i >= 0; i = p->tree->parts[i].next)
			print(p, &p->tree->parts[i]);
		sp_nstring(p, part->subtype);
		if (p->extended) {
			params(p, part->params, part->nparams);
			extension(p, part);
		}
	} else
		leaf(p, part);
	evbuffer_add(p->out, ")", 1);
}

void
imap_print_structure(struct evbuffer *out, const char *msg, size_t len,
    const struct mime_tree *tree, bool extended)
{
	struct printer p = { out, msg, tree, extended, NULL, NULL };

	print(&p, &tree->parts[0]);
}

void
imap_print_part_structure(struct evbuffer *out, const char *msg,
    const struct mime_tree *tree, const struct mime_part *part,
    const struct imap_octets *octets)
{
	struct printer p = { out, msg, tree, true, octets->decoded ? part : NULL,
		octets };

	print(&p, part);
}
