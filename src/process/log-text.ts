/**
 * Turns the logger's JSON lines into `time="…" level=info message="…" key=value`, which is what docker distribution's
 * formatter `text` prints, for people who read logs as they are.
 */
export function textLines(out: { write(line: string): void }): { write(line: string): void } {
  return {
    write(line) {
      // The logger writes objects, one a line.
      const record = JSON.parse(line) as Readonly<Record<string, unknown>>;
      const { time, level, message, ...fields } = record;
      const pairs = Object.entries({ time, level, msg: message, ...fields });
      out.write(`${pairs.map(([key, value]) => `${key}=${format(value)}`).join(' ')}\n`);
    },
  };
}

function format(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[A-Za-z0-9._:/@+-]+$/.test(text) ? text : JSON.stringify(text);
}
