/** After so many items timers and requests get a turn: what an item does may be over without ever waiting. */
const TURN = 64;

/**
 * Does something with each item, so many at a time, in their order.
 * @throws the first error, when everything that was begun has ended; nothing more is begun after it.
 */
export async function forEachAtOnce<T>(
  items: Iterable<T> | AsyncIterable<T>,
  atOnce: number,
  action: (item: T) => Promise<void>,
): Promise<void> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const errors: unknown[] = [];
  let taken = 0;
  let turn: Promise<void> | undefined;
  const work = async (): Promise<void> => {
    try {
      while (errors.length === 0) {
        const next = await source.next();
        if (next.done === true) return;
        if (++taken % TURN === 0) turn = new Promise((resolve) => setImmediate(resolve));
        // All wait, or those that go on would keep it from coming.
        await turn;
        await action(next.value);
      }
    } catch (error) {
      errors.push(error);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  await source.return?.();
  if (errors.length > 0) throw errors[0];
}
