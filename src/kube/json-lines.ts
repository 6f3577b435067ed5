const NEWLINE = 0x0a;

/**
 * Reads one JSON value a line. Lines are cut as bytes, so that a character that arrives in two chunks stays whole and
 * a large object costs no repeated concatenation. Throws SyntaxError for a line that is no JSON; an unfinished last
 * line is dropped: the stream was cut.
 */
export async function* readJsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator {
  let pending: Uint8Array[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      pending.push(chunk.subarray(start, end));
      const line = Buffer.concat(pending).toString('utf8');
      pending = [];
      start = end + 1;
      if (line.trim() !== '') yield JSON.parse(line) as unknown;
    }
    if (start < chunk.length) pending.push(chunk.subarray(start));
  }
}
