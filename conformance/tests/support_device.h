/*
 * A small client with a driver (spec/driver.md), for tests of the engine: right, or with one
 * deliberate fault. It keeps what a server holds as a set, and lists whole changes from the start
 * whenever that differs from `opened`.
 */
#ifndef CONFORM_SUPPORT_DEVICE_H
#define CONFORM_SUPPORT_DEVICE_H

/* Arguments: the fault's name or "none", folder, key, URL. Serves standard input until it ends;
 * returns the exit status. */
int device_drive(char *const arguments[4]);

#endif
