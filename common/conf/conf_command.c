/* SPDX-License-Identifier: ISC */
/*
 * fife.conf: what execd may start, and Maildirs outside of the store.
 *	command NAME { program "/path" ARGUMENT...; user NAME; timeout 1m; memory 512m }
 *	maildir NAME { path "/path"; user NAME }
 */
#include "common/conf/conf_int.h"

#include <string.h>

#include "common/compat/compat.h"

static const struct conf_setting command_settings[] = {
	{ "user", CONF_TEXT, CONF_AT(msg_conf_command, user) },
	{ "timeout", CONF_TIME, CONF_AT(msg_conf_command, timeout_s), 1, 1200, NULL },
	{ "memory", CONF_SIZE, CONF_AT(msg_conf_command, memory), 1 << 20, 1ull << 40,
	    NULL },
	{ "concurrency", CONF_COUNT, CONF_AT(msg_conf_command, concurrency), 1, 50,
	    NULL },
	{ NULL },
};

static const struct conf_setting maildir_settings[] = {
	{ "path", CONF_PATH, CONF_AT(msg_conf_command, path) },
	{ "user", CONF_TEXT, CONF_AT(msg_conf_command, user) },
	{ NULL },
};

/* program PATH ARGUMENT... */
static int
program(struct conf_parser *p, void *base)
{
	struct msg_conf_command *m = base;

	if (m->path[0] != '\0')
		return conf_error(p, "program is given twice, expected it once");
	if (conf_get_text(p, "the path of a program", m->path, sizeof(m->path)) == -1)
		return -1;
	while (p->lex.token == TOK_WORD || p->lex.token == TOK_STRING) {
		const char *text = p->lex.text;

		for (const char *s = text; *s != '\0'; s++)
			if ((unsigned char)*s < ' ' || *s == 0x7f)
				return conf_unexpected(
				    p, "an argument without control characters");
		if (strlcat(m->arguments, text, sizeof(m->arguments)) >=
			sizeof(m->arguments) ||
		    strlcat(m->arguments, "\n", sizeof(m->arguments)) >=
			sizeof(m->arguments))
			return conf_error(
			    p, "too long arguments, expected at most 1999 octets");
		if (conf_advance(p) == -1)
			return -1;
	}
	return 0;
}

static const struct conf_special specials[] = { { "program", program }, { NULL, NULL } };

const struct conf_section conf_section_command = { "command", command_settings, specials,
	NULL, 0 };
const struct conf_section conf_section_maildir = { "maildir", maildir_settings, NULL,
	NULL, 0 };

static int
is_name(const char *s)
{
	return *s != '\0' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789._-") == strlen(s);
}

static int
parse(struct conf_parser *p, int maildir)
{
	struct conf *c = p->conf;
	unsigned int line = p->lex.line;
	struct conf_command *k;

	if (c->n_commands == CONF_COMMANDS_MAX)
		return conf_error(
		    p, "too many commands, expected at most %d", CONF_COMMANDS_MAX);
	if ((k = conf_grow(&c->commands, &c->n_commands, sizeof(*k))) == NULL)
		return conf_error(p, "no memory, expected some");
	k->line = line;
	k->m.maildir = (uint8_t)maildir;
	k->m.timeout_s = 60;
	k->m.memory = 512ull << 20;
	k->m.concurrency = 5;
	if (!is_name(p->lex.text))
		return conf_unexpected(p, "a name of letters, digits, dots and hyphens");
	if (conf_get_text(p, "a name", k->m.name, sizeof(k->m.name)) == -1)
		return -1;
	for (size_t i = 0; i + 1 < c->n_commands; i++)
		if (strcmp(c->commands[i].m.name, k->m.name) == 0)
			return conf_error(p,
			    "\"%s\" is there already on line %u, expected another name",
			    k->m.name, c->commands[i].line);
	if (conf_get_block(
		p, maildir ? &conf_section_maildir : &conf_section_command, &k->m) == -1)
		return -1;
	p->lex.line = line;
	if (k->m.path[0] != '/')
		return conf_error(p,
		    "\"%s\" without a %s, expected one that begins with /", k->m.name,
		    maildir ? "path" : "program");
	if (maildir && k->m.user[0] == '\0')
		return conf_error(p,
		    "\"%s\" without a user, expected whose Maildir that is", k->m.name);
	return 0;
}

int
conf_command_parse(struct conf_parser *p, void *base)
{
	(void)base;
	return parse(p, 0);
}

int
conf_maildir_parse(struct conf_parser *p, void *base)
{
	(void)base;
	return parse(p, 1);
}

void
conf_command_print(const struct conf *c, FILE *f)
{
	for (size_t i = 0; i < c->n_commands; i++) {
		const struct msg_conf_command *k = &c->commands[i].m;
		const char *s = k->arguments;
		char word[sizeof(k->arguments)];

		fprintf(f, "%s %s {\n    %s ", k->maildir ? "maildir" : "command",
		    k->name, k->maildir ? "path" : "program");
		conf_print_quoted(f, k->path);
		while (*s != '\0') {
			size_t len = strcspn(s, "\n");

			memcpy(word, s, len);
			word[len] = '\0';
			fputc(' ', f);
			conf_print_quoted(f, word);
			s += len + (s[len] == '\n');
		}
		fputc('\n', f);
		conf_print_settings(
		    k->maildir ? maildir_settings + 1 : command_settings, k, f, 4);
		fputs("}\n", f);
	}
}
