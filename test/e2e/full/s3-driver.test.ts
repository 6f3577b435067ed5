import { testS3Driver } from '../support/s3-driver.ts';

await testS3Driver({ v4auth: false });
