/* SPDX-License-Identifier: ISC */
/* fife.conf: the tree printed back in the grammar, defaults included. */
#include "common/conf/conf_int.h"

void
conf_print_quoted(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

int
conf_print(const struct conf *c, FILE *f)
{
	conf_print_settings(conf_section_host.settings, c, f, 0);
	conf_section_host.print(c, f);
	for (const struct conf_section *const *s = conf_sections; *s != NULL; s++) {
		fprintf(f, "%s {\n", (*s)->word);
		conf_print_settings((*s)->settings, (const char *)c + (*s)->offset, f, 4);
		if ((*s)->print != NULL)
			(*s)->print(c, f);
		fputs("}\n", f);
	}
	return fflush(f) == EOF || ferror(f) ? -1 : 0;
}
