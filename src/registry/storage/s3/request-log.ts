import type { Logger } from '../../../process/logger.ts';
import type { S3ConnectionOptions } from './s3-connection.ts';

type Request = Parameters<S3ConnectionOptions['onAnswer']>[0];
type Answer = Parameters<S3ConnectionOptions['onAnswer']>[1];

/**
 * What `loglevel` asks to have logged, by docker distribution's words. Neither signatures nor bodies, whatever it says.
 */
export function requestLog(level: string, log: Logger): S3ConnectionOptions['onAnswer'] {
  const isWanted = wanted(level);
  return ({ method, url }: Request, answer: Answer) => {
    if (!isWanted(answer)) return;
    const { status, retried } = answer;
    log.info(
      { method, host: url.host, path: url.pathname, query: url.search, status, retried },
      's3 request',
    );
  };
}

function wanted(level: string): (answer: Answer) => boolean {
  if (level === 'debugwithrequesterrors') return ({ status }) => status >= 400;
  if (level === 'debugwithrequestretries') return ({ retried }) => retried;
  return () => level.startsWith('debug');
}
