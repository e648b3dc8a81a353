/* SPDX-License-Identifier: ISC */
#ifndef FIFE_LOGD_SEARCH_H
#define FIFE_LOGD_SEARCH_H

#include "common/ctl.h"

/* The commands «log» and «why» of fifectl(8), see common/ctl.h. */
void search_log(struct ctl *, int argc, char **argv);
void search_why(struct ctl *, int argc, char **argv);
/* Searches that run now. */
unsigned int search_running(void);

#endif
