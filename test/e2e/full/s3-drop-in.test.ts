import { distributions } from '../distribution.ts';
import { testS3DropIn } from '../support/s3-drop-in.ts';

for (const distribution of distributions.slice(1)) testS3DropIn(distribution);
