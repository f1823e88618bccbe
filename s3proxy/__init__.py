"""s3proxy: one process that speaks S3 and keeps the bytes wherever policy says."""
