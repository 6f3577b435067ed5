import { createLogger, type Logger } from '../../src/process/logger.ts';

export type LogRecord = Readonly<Record<string, unknown>> & {
  readonly level: string;
  readonly message: string;
};

/** A logger whose lines are kept as objects, so that tests look at records and never at text. */
export function logSink(): { readonly log: Logger; readonly records: LogRecord[] } {
  const records: LogRecord[] = [];
  const log = createLogger({
    level: 'debug',
    destination: { write: (line) => void records.push(JSON.parse(line) as LogRecord) },
  });
  return { log, records };
}
