/* SPDX-License-Identifier: MIT */
/* xenomai_python.c - the Python interpreter, linked with Xenomai's libraries.
 *
 * Stock libraries are linked `-z nodlopen`: no Python can load them, and what needs them (our
 * extension) neither. In this program they are there before Python begins. Nothing else differs,
 * so it is installed as `xenomai-python` beside the interpreter, and runs what that would run:
 * `xenomai-python -m serial_runtime serve`. It does not initialise Xenomai: platform_init does,
 * after its checks, as with libraries that can be loaded.
 */
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

int main(int count, char **arguments)
{
    return Py_BytesMain(count, arguments);
}
