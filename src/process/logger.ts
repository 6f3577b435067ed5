import pino from 'pino';

/** Constant message, values in fields, no secrets. Fields come first, as in pino. */
export interface Logger {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  child(fields: object): Logger;
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** Logs JSON lines to standard error, or to `destination`, synchronously: a line written before a crash is there. */
export function createLogger(options: {
  level: LogLevel;
  fields?: Readonly<Record<string, unknown>>;
  destination?: { write(line: string): void };
}): Logger {
  return pino(
    {
      level: options.level,
      base: options.fields ?? {},
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    options.destination ?? pino.destination({ dest: 2, sync: true }),
  );
}
