/**
 * An abort signal that SIGTERM and SIGINT trigger. A second signal ends the process at once with the shell's code
 * for it, so that a hung shutdown can be cut short.
 */
export function terminationSignal(): AbortSignal {
  const controller = new AbortController();
  for (const [name, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(code);
      controller.abort(new Error(`received ${name}`));
    });
  }
  return controller.signal;
}
