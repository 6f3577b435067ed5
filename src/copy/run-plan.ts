import { Semaphore } from '../process/semaphore.ts';
import { copyImage, type CopyProgress, type ImageCopyOptions } from './copy-image.ts';
import type { Job, Plan } from './plan.ts';

/** What became of one image. */
export type ImageReport = {
  /** Where it came from and where it is now, as in `registry/team/app:v1`. */
  readonly source: string;
  readonly destination: string;
} & (
  | { readonly result: 'copied' | 'unchanged'; readonly digest: string }
  | { readonly result: 'failed'; readonly message: string }
);

export interface RunOptions extends Pick<ImageCopyOptions, 'platform' | 'ownPlatform' | 'referrers'> {
  /** Images and blobs on their way at once. */
  readonly concurrency: number;
  readonly progress: CopyProgress & { image(report: ImageReport): void };
  readonly signal: AbortSignal;
}

/** Copies every image of a plan; one that fails does not keep the others. @returns how many failed. */
export async function runPlan(plan: Plan, options: RunOptions): Promise<number> {
  const images = new Semaphore(options.concurrency);
  const blobs = new Semaphore(options.concurrency);
  const reports = await Promise.all(
    plan.jobs.map((job) =>
      images.run(async () => {
        const report = await copyJob(job, { ...options, blobs });
        options.progress.image(report);
        return report;
      }),
    ),
  );
  const failed = reports.filter(({ result }) => result === 'failed').length;
  await plan.finish(failed > 0);
  return failed;
}

async function copyJob(job: Job, options: RunOptions & { readonly blobs: Semaphore }): Promise<ImageReport> {
  const { source, destination, reference, tag } = job;
  const named = {
    source: withReference(source.title, reference),
    destination: withReference(destination.title, tag ?? reference),
  };
  try {
    options.signal.throwIfAborted();
    const { digest, changed } = await copyImage(reference, tag, { ...options, source, destination });
    return { ...named, result: changed ? 'copied' : 'unchanged', digest };
  } catch (error) {
    return { ...named, result: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

function withReference(title: string, reference: string): string {
  if (reference === '') return title;
  return `${title}${reference.startsWith('sha') && reference.includes(':') ? '@' : ':'}${reference}`;
}
