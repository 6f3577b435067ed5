import type { Readable } from 'node:stream';

/** The client ended the connection before the body was whole. */
class BodyCutOffError extends Error {
  override readonly name = 'BodyCutOffError';
}

/**
 * Gives each chunk of a body to `take` as it arrives, and pauses the body while what `take` returned is pending. `data`
 * events, because they are twice as fast as a loop over the stream.
 * Settles when no call of `take` is pending any more.
 * @throws BodyCutOffError when the client goes away; what `take` throws.
 */
export function receiveBody(
  body: Readable,
  take: (chunk: Uint8Array) => Promise<void> | undefined,
): Promise<void> {
  if (body.readableEnded) return Promise.resolve();
  return new Promise((resolve, reject) => {
    let pending = false;
    let outcome: { readonly error?: Error } | undefined;

    const settle = (): void => {
      if (pending || outcome === undefined) return;
      body.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      if (outcome.error) reject(outcome.error);
      else resolve();
    };
    const end = (result: { readonly error?: Error }): void => {
      outcome ??= result;
      settle();
    };
    const fail = (error: unknown): void =>
      end({ error: error instanceof Error ? error : new Error(String(error)) });
    const onData = (chunk: Uint8Array): void => {
      if (outcome !== undefined) return;
      try {
        const wait = take(chunk);
        if (wait) holdUntil(wait);
      } catch (error) {
        fail(error);
      }
    };
    const holdUntil = (wait: Promise<void>): void => {
      pending = true;
      body.pause();
      wait.then(
        () => {
          pending = false;
          body.resume();
          settle();
        },
        (error: unknown) => {
          pending = false;
          fail(error);
        },
      );
    };
    const onEnd = (): void => end({});
    const onError = (cause: Error): void => {
      end({ error: new BodyCutOffError('the client went away', { cause }) });
    };
    const onClose = (): void => end({ error: new BodyCutOffError('the client went away') });

    body.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    if (body.destroyed) onClose();
  });
}
